// SPDX-License-Identifier: GPL-2.0-or-later
// HTTP: GET /, /events, /metrics and /healthz, and nothing else. Every
// connection has a time limit and every request a size limit, so that slow or
// broken clients hold nothing up; there are at most so many at a time, and
// fewer that follow the page's events.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <string>

#include "host/daemon/snapshot.hpp"

namespace ipidefer::daemon {

using RenderMetrics = std::function<std::string()>;

/// Serves until the acceptor is closed.
[[nodiscard]] boost::asio::awaitable<void> serve_http(
    boost::asio::ip::tcp::acceptor& acceptor, RenderMetrics render,
    Snapshots::Take look);

}  // namespace ipidefer::daemon
