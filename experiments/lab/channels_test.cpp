// SPDX-License-Identifier: GPL-2.0-or-later
// Both protocols against a peer that says what it was told to.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include "base/failure.hpp"
#include "experiments/lab/guest_channel.hpp"
#include "experiments/lab/qmp_client.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using nlohmann::json;

class ChannelsTest : public testing::Test {
  protected:
    ChannelsTest() { asio::local::connect_pair(ours_, peer_); }

    /// What the peer will have said, before it is asked.
    void peer_says(const std::string& lines)
    {
        asio::write(peer_, asio::buffer(lines));
    }

    json peer_hears()
    {
        const auto size =
            asio::read_until(peer_, asio::dynamic_buffer(heard_), '\n');
        auto message = json::parse(heard_.substr(0, size));
        heard_.erase(0, size);
        return message;
    }

    template <typename T>
    T wait_for(asio::awaitable<T> operation)
    {
        auto result =
            asio::co_spawn(io_, std::move(operation), asio::use_future);
        io_.restart();
        io_.run();
        return result.get();
    }

    asio::io_context io_;
    stream_protocol::socket ours_{io_};
    stream_protocol::socket peer_{io_};
    std::string heard_;
};

constexpr char kGreeting[] =
    R"({"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": "Debian"}, "capabilities": []}})"
    "\n";

TEST_F(ChannelsTest, NegotiationGivesTheVersion)
{
    QmpClient qmp{std::move(ours_)};
    peer_says(std::string{kGreeting} + "{\"return\": {}}\n");
    EXPECT_EQ(wait_for(qmp.negotiate()), "10.0.13 (Debian)");
    EXPECT_EQ(peer_hears(), json({{"execute", "qmp_capabilities"}}));
}

TEST_F(ChannelsTest, OtherGreetingIsRefused)
{
    QmpClient qmp{std::move(ours_)};
    peer_says("{\"hello\": 1}\n");
    EXPECT_THROW((void)wait_for(qmp.negotiate()), Failure);
}

TEST_F(ChannelsTest, EventsBetweenCommandAndAnswerAreSkipped)
{
    QmpClient qmp{std::move(ours_)};
    peer_says("{\"event\": \"RESUME\"}\n{\"return\": {\"id\": \"d\"}}\n");
    EXPECT_EQ(wait_for(qmp.execute("query-ipi-defer")), json({{"id", "d"}}));
}

TEST_F(ChannelsTest, ErrorIsAnAnswerToo)
{
    QmpClient qmp{std::move(ours_)};
    peer_says("{\"error\": {\"class\": \"CommandNotFound\"}}\n");
    EXPECT_EQ(wait_for(qmp.execute("query-ipi-defer")), std::nullopt);
}

TEST_F(ChannelsTest, AgentIsAskedAndAnswers)
{
    GuestChannel guest{std::move(ours_)};
    peer_says("{\"ready\": true}\n{\"stats\": null}\n");
    EXPECT_EQ(wait_for(guest.ready()), json({{"ready", true}}));
    const json request{{"command", "stats"}};
    EXPECT_EQ(wait_for(guest.ask(request)), json({{"stats", nullptr}}));
    EXPECT_EQ(peer_hears(), request);
}

TEST_F(ChannelsTest, AgentThatFailsSaysWhy)
{
    GuestChannel guest{std::move(ours_)};
    peer_says("{\"error\": \"no such file\"}\n");
    const json request{{"command", "run"}};
    try {
        (void)wait_for(guest.ask(request));
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_STREQ(failure.what(), "the agent cannot run: \"no such file\"");
    }
}

TEST_F(ChannelsTest, WhatIsNoObjectIsRefused)
{
    for (const char* line : {"hello\n", "[1]\n", "\n", "{\"a\": \n"}) {
        JsonLines lines{std::move(ours_)};
        peer_says(line);
        EXPECT_THROW((void)wait_for(lines.read()), Failure) << line;
        ours_ = stream_protocol::socket{io_};
        peer_ = stream_protocol::socket{io_};
        asio::local::connect_pair(ours_, peer_);
    }
}

TEST_F(ChannelsTest, WhatIsNestedTooDeeplyIsRefused)
{
    JsonLines lines{std::move(ours_)};
    peer_says("{\"stats\":" + std::string(80'000, '[') +
              std::string(80'000, ']') + "}\n");
    try {
        (void)wait_for(lines.read());
        ADD_FAILURE() << "it was taken";
    } catch (const Failure& failure) {
        EXPECT_TRUE(std::string_view{failure.what()}.ends_with(
            "(JSON: it is nested 80001 deep, the most is 64)"))
            << failure.what();
    }
}

TEST_F(ChannelsTest, PeerThatIsGoneIsAnError)
{
    JsonLines lines{std::move(ours_)};
    peer_says("{\"half\":");
    peer_.close();
    EXPECT_THROW((void)wait_for(lines.read()), boost::system::system_error);
}

TEST_F(ChannelsTest, AgentThatSaysItIsAliveHasNotAnswered)
{
    GuestChannel guest{std::move(ours_)};
    peer_says("{\"alive\": true}\n{\"alive\": true}\n{\"status\": 0}\n");
    int alive = 0;
    EXPECT_EQ(wait_for(guest.ask({{"command", "run"}}, [&] { ++alive; })),
              json({{"status", 0}}));
    EXPECT_EQ(alive, 2);
}

}  // namespace
}  // namespace ipidefer::lab
