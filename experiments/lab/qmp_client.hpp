// SPDX-License-Identifier: GPL-2.0-or-later
// QEMU's control socket, QMP: docs/interop/qmp-spec.rst of QEMU.
// Not handled: events (skipped), out-of-band commands.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "experiments/lab/json_lines.hpp"

namespace ipidefer::lab {

class QmpClient {
  public:
    explicit QmpClient(boost::asio::local::stream_protocol::socket socket);

    /// Reads the greeting and enters command mode; returns QEMU's version.
    [[nodiscard]] boost::asio::awaitable<std::string> negotiate();

    /// What the command returned, or nothing when QEMU answered with an error:
    /// it does not know the command, or cannot do it on this machine.
    [[nodiscard]] boost::asio::awaitable<std::optional<nlohmann::json>> execute(
        std::string command, nlohmann::json arguments = nullptr);

    void close() { lines_.close(); }

  private:
    JsonLines lines_;
};

}  // namespace ipidefer::lab
