// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/qmp_client.hpp"

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
using nlohmann::json;

}  // namespace

QmpClient::QmpClient(asio::local::stream_protocol::socket socket)
    : lines_{std::move(socket)}
{
}

asio::awaitable<std::string> QmpClient::negotiate()
{
    const json greeting = co_await lines_.read();
    const json::json_pointer number{"/QMP/version/qemu"};
    if (!greeting.contains(number))
        throw Failure{Exit::kCannotRun,
                      "QEMU greets in an unknown way: " + greeting.dump()};
    if (!co_await execute("qmp_capabilities"))
        throw Failure{Exit::kCannotRun, "QEMU refuses QMP's command mode"};
    const json& version = greeting[number];
    std::string text = version.value("major", json(0)).dump() + '.' +
                       version.value("minor", json(0)).dump() + '.' +
                       version.value("micro", json(0)).dump();
    if (const std::string package =
            greeting["QMP"]["version"].value("package", "");
        !package.empty())
        text += " (" + package + ')';
    co_return text;
}

asio::awaitable<std::optional<json>> QmpClient::execute(std::string command,
                                                        json arguments)
{
    json request{{"execute", std::move(command)}};
    if (!arguments.is_null()) request["arguments"] = std::move(arguments);
    co_await lines_.write(request);
    for (;;) {
        json answer = co_await lines_.read();
        if (answer.contains("return")) co_return std::move(answer["return"]);
        if (answer.contains("error")) co_return std::nullopt;
    }
}

}  // namespace ipidefer::lab
