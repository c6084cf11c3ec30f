// SPDX-License-Identifier: GPL-2.0-or-later
// The host's end of the line to the agent in the guest; see protocol.hpp.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "experiments/lab/json_lines.hpp"

namespace ipidefer::lab {

class GuestChannel {
  public:
    explicit GuestChannel(boost::asio::local::stream_protocol::socket socket);

    /// Waits for the agent's first words.
    [[nodiscard]] boost::asio::awaitable<nlohmann::json> ready();

    /// One command, and its answer. `alive` is called each time that the agent
    /// says meanwhile that it has not stopped. Throws a Failure when the answer
    /// is that it failed.
    [[nodiscard]] boost::asio::awaitable<nlohmann::json> ask(
        nlohmann::json request, std::function<void()> alive = {});

    /// A command that has no answer.
    [[nodiscard]] boost::asio::awaitable<void> tell(nlohmann::json request);

    void close() { lines_.close(); }

  private:
    JsonLines lines_;
};

}  // namespace ipidefer::lab
