// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/http.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <memory>

#include "base/await.hpp"
#include "base/version.hpp"
#include "host/daemon/accept.hpp"
#include "host/daemon/page.hpp"

namespace ipidefer::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr auto kHttpPatience = std::chrono::seconds{10};
constexpr std::uint32_t kLongestHead = 8192;
constexpr unsigned kMostHttp = 64;
constexpr long kMostFollowers = 8;
constexpr auto kEventInterval = std::chrono::seconds{2};
/// What the first who looks waits for, so that there are rates.
constexpr auto kFirstInterval = std::chrono::seconds{1};

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

/// What all connections have in common. One thread runs them.
struct Server {
    RenderMetrics metrics;
    Snapshots snapshots;
    std::shared_ptr<int> followers = std::make_shared<int>(0);  // copies
};

std::string_view path_of(const Request& request)
{
    const std::string_view target{request.target().data(),
                                  request.target().size()};
    return target.substr(0, target.find('?'));
}

bool is_get(const Request& request)
{
    return request.method() == http::verb::get;
}

Response response_to(const Request& request)
{
    Response response;
    response.version(request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::server,
                 std::string{"ipideferd/"} + ipidefer::kVersion);
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    // What a browser guesses about a text is its own business elsewhere.
    response.set("X-Content-Type-Options", "nosniff");
    return response;
}

Response answer(const Request& request, const Server& server)
{
    Response response = response_to(request);
    const auto target = path_of(request);
    if (request.method() != http::verb::get &&
        request.method() != http::verb::head) {
        response.result(http::status::method_not_allowed);
        response.set(http::field::allow, "GET, HEAD");
        response.body() = "only GET and HEAD\n";
    } else if (target == "/metrics") {
        response.set(http::field::content_type,
                     "text/plain; version=0.0.4; charset=utf-8");
        response.body() = server.metrics();
    } else if (target == "/healthz") {
        response.body() = "ok\n";
    } else {
        response.result(http::status::not_found);
        response.body() = "there are /, /metrics and /healthz\n";
    }
    response.prepare_payload();
    // What GET would have said, without saying it.
    if (request.method() == http::verb::head) response.body().clear();
    return response;
}

/// For readers who look once: of rates too.
asio::awaitable<Response> page_for(const Request& request, Server& server)
{
    SnapshotPtr before = server.snapshots.before();
    if (!before) {
        before = server.snapshots.now();
        asio::steady_timer timer{co_await asio::this_coro::executor,
                                 kFirstInterval};
        co_await timer.async_wait(kAwait);
    }
    Response response = response_to(request);
    const std::string nonce = page_nonce();
    response.set(http::field::content_type, "text/html; charset=utf-8");
    response.set("Content-Security-Policy", page_policy(nonce));
    response.set("Cross-Origin-Resource-Policy", "same-origin");
    response.set("Referrer-Policy", "no-referrer");
    response.set(http::field::cache_control, "no-store");
    response.body() = page(page_body(before, server.snapshots.now()), nonce);
    response.prepare_payload();
    if (!is_get(request)) response.body().clear();
    co_return response;
}

/// The page's events, until whoever follows them is gone.
asio::awaitable<void> serve_events(beast::tcp_stream& stream, Server& server)
{
    const std::shared_ptr<int> place = server.followers;
    const std::string head =
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: text/event-stream; charset=utf-8\r\n"
        "Cache-Control: no-store\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n";
    std::string text = head;
    SnapshotPtr before = server.snapshots.before();
    asio::steady_timer timer{co_await asio::this_coro::executor};
    for (;;) {
        const SnapshotPtr now = server.snapshots.now();
        text += page_event(page_body(before, now));
        before = now;
        stream.expires_after(kHttpPatience);
        if (const auto [error, bytes] =
                co_await asio::async_write(stream, asio::buffer(text), kAwait);
            error)
            co_return;
        text.clear();
        timer.expires_after(kEventInterval);
        co_await timer.async_wait(kAwait);
    }
}

Response too_many_followers(const Request& request)
{
    Response response = response_to(request);
    response.result(http::status::service_unavailable);
    response.set(http::field::retry_after, "5");
    response.body() = "at most " + std::to_string(kMostFollowers) +
                      " follow the page's events\n";
    response.prepare_payload();
    return response;
}

asio::awaitable<void> serve_connection(tcp::socket socket, Place place,
                                       std::shared_ptr<Server> server)
{
    beast::tcp_stream stream{std::move(socket)};
    beast::flat_buffer buffer{kLongestHead};
    for (;;) {
        http::request_parser<http::empty_body> parser;
        parser.header_limit(kLongestHead);
        stream.expires_after(kHttpPatience);
        if (const auto [error, bytes] =
                co_await http::async_read(stream, buffer, parser, kAwait);
            error)
            break;
        const Request& request = parser.get();
        const bool events = path_of(request) == "/events" && is_get(request);
        const bool room = server->followers.use_count() <= kMostFollowers;
        if (events && room) {
            co_await serve_events(stream, *server);
            break;
        }
        Response response;
        if (events)
            response = too_many_followers(request);
        else if (path_of(request) == "/" &&
                 (is_get(request) || request.method() == http::verb::head))
            response = co_await page_for(request, *server);
        else
            response = answer(request, *server);
        http::response_serializer<http::string_body> serializer{response};
        stream.expires_after(kHttpPatience);
        const bool head = request.method() == http::verb::head;
        const auto [error, bytes] =
            head ? co_await http::async_write_header(stream, serializer, kAwait)
                 : co_await http::async_write(stream, serializer, kAwait);
        if (error || response.need_eof()) break;
    }
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    place.reset();
}

}  // namespace

asio::awaitable<void> serve_http(tcp::acceptor& acceptor, RenderMetrics render,
                                 Snapshots::Take look)
{
    const auto server = std::make_shared<Server>(
        Server{std::move(render), Snapshots{std::move(look)}});
    return accept_connections(
        acceptor, kMostHttp, [](tcp::socket&) { return true; },
        [server](tcp::socket socket, Place place) {
            return serve_connection(std::move(socket), std::move(place),
                                    server);
        });
}

}  // namespace ipidefer::daemon
