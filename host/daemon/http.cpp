// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/http.hpp"

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "base/await.hpp"
#include "base/version.hpp"
#include "host/daemon/accept.hpp"

namespace ipidefer::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr auto kHttpPatience = std::chrono::seconds{10};
constexpr std::uint32_t kLongestHead = 8192;
constexpr unsigned kMostHttp = 64;

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

Response answer(const Request& request, const RenderMetrics& render)
{
    Response response;
    response.version(request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::server,
                 std::string{"ipideferd/"} + ipidefer::kVersion);
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    const auto target = request.target().substr(0, request.target().find('?'));
    if (request.method() != http::verb::get &&
        request.method() != http::verb::head) {
        response.result(http::status::method_not_allowed);
        response.set(http::field::allow, "GET, HEAD");
        response.body() = "only GET and HEAD\n";
    } else if (target == "/metrics") {
        response.set(http::field::content_type,
                     "text/plain; version=0.0.4; charset=utf-8");
        response.body() = render();
    } else if (target == "/healthz") {
        response.body() = "ok\n";
    } else {
        response.result(http::status::not_found);
        response.body() = "metrics are at /metrics\n";
    }
    response.prepare_payload();
    // What GET would have said, without saying it.
    if (request.method() == http::verb::head) response.body().clear();
    return response;
}

asio::awaitable<void> serve_connection(tcp::socket socket, Place place,
                                       RenderMetrics render)
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
        const Response response = answer(parser.get(), render);
        http::response_serializer<http::string_body> serializer{response};
        stream.expires_after(kHttpPatience);
        const bool head = parser.get().method() == http::verb::head;
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

asio::awaitable<void> serve_http(tcp::acceptor& acceptor, RenderMetrics render)
{
    return accept_connections(
        acceptor, kMostHttp, [](tcp::socket&) { return true; },
        [render = std::move(render)](tcp::socket socket, Place place) {
            return serve_connection(std::move(socket), std::move(place),
                                    render);
        });
}

}  // namespace ipidefer::daemon
