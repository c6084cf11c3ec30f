// SPDX-License-Identifier: GPL-2.0-or-later
// Accept: what all servers do until a connection is there, with a limit to how
// many there are at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "base/await.hpp"

namespace ipidefer::daemon {

/// A connection's place among those that may be; free again when it is gone.
using Place = std::shared_ptr<void>;

/// Serves until the acceptor is closed. What comes above the limit is closed
/// at once.
/// @param most    connections at a time
/// @param admit   whether somebody may connect at all; what it says no to takes
///                no place
/// @param connect makes a connection: an awaitable, of a socket and a Place
template <class Acceptor, class Admit, class Connect>
[[nodiscard]] boost::asio::awaitable<void> accept_connections(
    Acceptor& acceptor, unsigned most, Admit admit, Connect connect)
{
    namespace asio = boost::asio;
    /// After an accept that failed, for lack of descriptors say.
    constexpr auto kPause = std::chrono::milliseconds{100};

    // Copies of this are the connections.
    const auto places = std::make_shared<int>(0);
    while (acceptor.is_open()) {
        auto [error, socket] = co_await acceptor.async_accept(kAwait);
        if (error == asio::error::operation_aborted) co_return;
        if (error) {
            asio::steady_timer pause{acceptor.get_executor(), kPause};
            co_await pause.async_wait(kAwait);
            continue;
        }
        if (!admit(socket)) continue;
        if (places.use_count() > static_cast<long>(most)) continue;
        asio::co_spawn(acceptor.get_executor(),
                       connect(std::move(socket), Place{places}),
                       asio::detached);
    }
}

}  // namespace ipidefer::daemon
