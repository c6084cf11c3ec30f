// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/control.hpp"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>

#include "base/await.hpp"
#include "host/daemon/accept.hpp"

namespace ipidefer::daemon {
namespace {

namespace asio = boost::asio;
using stream = asio::local::stream_protocol;

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr unsigned kMostControl = 32;
constexpr auto kControlPatience = std::chrono::seconds{30};

bool read_peer(stream::socket& socket, Peer& peer)
{
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED,
                     &credentials, &size) != 0)
        return false;
    peer = {credentials.uid, credentials.pid};
    return true;
}

asio::awaitable<void> serve_connection(std::shared_ptr<stream::socket> socket,
                                       Peer peer, Place place, Answer answer)
{
    std::string buffer;
    asio::steady_timer limit{socket->get_executor()};
    for (;;) {
        limit.expires_after(kControlPatience);
        limit.async_wait([weak = std::weak_ptr{socket}](
                             const boost::system::error_code& error) {
            if (const auto idle = weak.lock(); idle != nullptr && !error) {
                boost::system::error_code ignored;
                idle->close(ignored);
            }
        });
        const auto [error, size] = co_await asio::async_read_until(
            *socket, asio::dynamic_buffer(buffer, kLongestLine), '\n', kAwait);
        if (error) break;
        const std::string reply =
            answer(buffer.substr(0, size - 1), peer) + '\n';
        buffer.erase(0, size);
        const auto [failed, written] =
            co_await asio::async_write(*socket, asio::buffer(reply), kAwait);
        if (failed) break;
    }
    place.reset();
}

}  // namespace

asio::awaitable<void> serve_control(stream::acceptor& acceptor, Refusal refusal,
                                    Answer answer)
{
    return accept_connections(
        acceptor, kMostControl,
        [refusal = std::move(refusal)](stream::socket& socket) {
            Peer peer{};
            if (!read_peer(socket, peer)) return false;
            const std::string why = refusal(peer);
            if (why.empty()) return true;
            // Into an empty buffer: does not wait.
            boost::system::error_code ignored;
            socket.non_blocking(true, ignored);
            socket.write_some(asio::buffer(why + '\n'), ignored);
            return false;
        },
        [answer = std::move(answer)](stream::socket socket, Place place) {
            Peer peer{};
            (void)read_peer(socket, peer);
            return serve_connection(
                std::make_shared<stream::socket>(std::move(socket)), peer,
                std::move(place), answer);
        });
}

}  // namespace ipidefer::daemon
