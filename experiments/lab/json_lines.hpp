// SPDX-License-Identifier: GPL-2.0-or-later
// JSON messages, one per line, over a unix socket: QMP, and the lab's agent.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ipidefer::lab {

class JsonLines {
  public:
    explicit JsonLines(boost::asio::local::stream_protocol::socket socket);

    /// Throws boost::system::system_error when the other side is gone, and a
    /// Failure for what is not JSON.
    [[nodiscard]] boost::asio::awaitable<nlohmann::json> read();
    [[nodiscard]] boost::asio::awaitable<void> write(
        const nlohmann::json& message);

    void close();

  private:
    boost::asio::local::stream_protocol::socket socket_;
    std::string buffer_;
};

}  // namespace ipidefer::lab
