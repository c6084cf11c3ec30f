// SPDX-License-Identifier: GPL-2.0-or-later
// Signals that end what the lab does, so that it can still tidy up.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <optional>

#include "base/process.hpp"

namespace ipidefer::lab {

/// As long as there is one, SIGINT, SIGTERM, SIGHUP and SIGPIPE end nothing by
/// themselves, however often they come: what is made after it, folders and
/// programs, is gone before it. They are sent twice more often than not: by
/// timeout(1), to its child and to the group that this is in.
class EndingSignals {
  public:
    EndingSignals();

    /// For what is to end by a signal; to be run once.
    [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
    /// @return the number of the signal that asked us to end, also before this
    boost::asio::awaitable<int> any();

    /// Until the program ends, or time is up. Not together with io().
    /// @return its status as Process has it, or nothing when it runs on
    /// Throws a Failure with the status of a signal that asked us to end; then
    /// the program was asked to, and has had some time for it.
    std::optional<int> wait_for(
        Process& program,
        std::optional<std::chrono::milliseconds> limit = std::nullopt);

  private:
    boost::asio::io_context io_;
    boost::asio::signal_set signals_;
};

/// Says so.
/// @return the status to end with, as a shell has it
int ended_by_signal(int number);

}  // namespace ipidefer::lab
