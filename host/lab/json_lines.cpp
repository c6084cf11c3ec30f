// SPDX-License-Identifier: GPL-2.0-or-later
#include "json_lines.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>

#include "failure.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;

/// A guest is not trusted to end its lines.
constexpr std::size_t kLongestLine = 16u << 20;
constexpr std::size_t kShown = 200;

}  // namespace

JsonLines::JsonLines(asio::local::stream_protocol::socket socket)
    : socket_{std::move(socket)}
{
}

asio::awaitable<nlohmann::json> JsonLines::read()
{
    const std::size_t size = co_await asio::async_read_until(
        socket_, asio::dynamic_buffer(buffer_, kLongestLine), '\n',
        asio::use_awaitable);
    const std::string line = buffer_.substr(0, size);
    buffer_.erase(0, size);
    auto message = nlohmann::json::parse(line, nullptr, false);
    if (!message.is_object())
        throw Failure{Exit::kCannotRun,
                      "expected a JSON object, got: " + line.substr(0, kShown)};
    co_return message;
}

asio::awaitable<void> JsonLines::write(const nlohmann::json& message)
{
    const std::string line = message.dump() + '\n';
    co_await asio::async_write(socket_, asio::buffer(line),
                               asio::use_awaitable);
}

void JsonLines::close()
{
    boost::system::error_code ignored;
    socket_.close(ignored);
}

}  // namespace ipidefer::lab
