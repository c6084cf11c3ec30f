// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/guest_channel.hpp"

#include "base/failure.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
using nlohmann::json;

}  // namespace

GuestChannel::GuestChannel(asio::local::stream_protocol::socket socket)
    : lines_{std::move(socket)}
{
}

asio::awaitable<json> GuestChannel::ready()
{
    json message = co_await lines_.read();
    if (!message.contains(protocol::kReady))
        throw Failure{
            Exit::kCannotRun,
            "the agent begins with something else: " + message.dump()};
    co_return message;
}

asio::awaitable<json> GuestChannel::ask(json request,
                                        std::function<void()> alive)
{
    co_await lines_.write(request);
    json answer = co_await lines_.read();
    while (answer.contains(protocol::kAlive)) {
        if (alive) alive();
        answer = co_await lines_.read();
    }
    if (answer.contains(protocol::kError))
        throw Failure{Exit::kCannotRun,
                      "the agent cannot " +
                          request[protocol::kCommand].get<std::string>() +
                          ": " + answer[protocol::kError].dump()};
    co_return answer;
}

asio::awaitable<void> GuestChannel::tell(json request)
{
    co_await lines_.write(request);
}

}  // namespace ipidefer::lab
