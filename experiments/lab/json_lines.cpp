// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/json_lines.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/json_reader.hpp"
#include "base/text.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;

/// A guest is not trusted to end its lines.
constexpr std::size_t kLongestLine = 16u << 20;
constexpr std::size_t kShown = 200;

nlohmann::json object_from(const std::string& line)
{
    std::string why = "it is none";
    try {
        auto message = read_json(line, {.max_bytes = kLongestLine});
        if (message.is_object()) return message;
    } catch (const Failure& failure) {
        why = failure.what();
    }
    throw Failure{Exit::kCannotRun, "expected a JSON object, got: " +
                                        printable(line.substr(0, kShown)) +
                                        " (" + why + ')'};
}

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
    co_return object_from(line);
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
