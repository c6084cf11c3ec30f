// SPDX-License-Identifier: GPL-2.0-or-later
// With real pipes and timers. Nothing is judged by how long it takes: what
// should happen is waited for, what should not is counted.
#include "host/libvirt/event_loop.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "host/libvirt/connection.hpp"
#include "host/libvirt/loop_testing.hpp"

namespace ipidefer::libvirt {
namespace {

namespace asio = boost::asio;

constexpr int kReadable = VIR_EVENT_HANDLE_READABLE;
constexpr int kWritable = VIR_EVENT_HANDLE_WRITABLE;
constexpr int kHangup = VIR_EVENT_HANDLE_HANGUP;

class Pipe {
  public:
    Pipe()
    {
        if (::pipe2(ends_.data(), O_NONBLOCK | O_CLOEXEC) != 0)
            throw std::runtime_error{"pipe"};
    }
    ~Pipe()
    {
        ::close(ends_[0]);
        close_writer();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    [[nodiscard]] int reader() const { return ends_[0]; }
    [[nodiscard]] int writer() const { return ends_[1]; }
    void write() const
    {
        if (::write(ends_[1], "x", 1) != 1) throw std::runtime_error{"write"};
    }
    char read() const
    {
        char byte = 0;
        if (::read(ends_[0], &byte, 1) != 1) throw std::runtime_error{"read"};
        return byte;
    }
    void close_writer()
    {
        if (ends_[1] >= 0) ::close(ends_[1]);
        ends_[1] = -1;
    }

  private:
    std::array<int, 2> ends_{-1, -1};
};

/// What a callback was called with, and what it then does.
struct Calls {
    std::vector<int> events;
    std::vector<int> fds;
    int freed = 0;
    std::function<void()> then;

    static void on_handle(int, int fd, int events, void* self)
    {
        auto* calls = static_cast<Calls*>(self);
        calls->events.push_back(events);
        calls->fds.push_back(fd);
        if (calls->then) calls->then();
    }
    static void on_timeout(int, void* self)
    {
        auto* calls = static_cast<Calls*>(self);
        calls->events.push_back(0);
        if (calls->then) calls->then();
    }
    static void on_free(void* self) { ++static_cast<Calls*>(self)->freed; }
};

class EventLoopTest : public test::LoopTest {
  protected:
    int watch(int fd, int events, Calls& calls)
    {
        return loop_.add_handle(fd, events, Calls::on_handle, &calls,
                                Calls::on_free);
    }
    int every(int interval, Calls& calls)
    {
        return loop_.add_timeout(interval, Calls::on_timeout, &calls,
                                 Calls::on_free);
    }
    /// What is ready now, and what becomes ready by that; not for ever, as what
    /// is not read stays ready.
    void run_ready()
    {
        for (int handler = 0; handler < 200; ++handler) {
            io_.restart();
            io_.poll_one();
        }
    }

    EventLoop loop_{io_};
};

// ---- descriptors ------------------------------------------------------------

TEST_F(EventLoopTest, ReadableIsToldAsLongAsItIs)
{
    Pipe pipe;
    Calls calls;
    ASSERT_GT(watch(pipe.reader(), kReadable, calls), 0);
    run_ready();
    EXPECT_TRUE(calls.events.empty());
    pipe.write();
    // Not read: like poll(), it is told again and again.
    EXPECT_TRUE(run_until([&] { return calls.events.size() >= 3; }));
    pipe.read();
    run_ready();
    const auto before = calls.events.size();
    run_ready();
    EXPECT_EQ(calls.events.size(), before);
    for (const int events : calls.events) EXPECT_EQ(events, kReadable);
    EXPECT_EQ(calls.fds.front(), pipe.reader());
}

TEST_F(EventLoopTest, WritableIsToldOnceThereIsRoom)
{
    Pipe pipe;
    const std::vector<char> much(1 << 16, 'x');
    while (::write(pipe.writer(), much.data(), much.size()) > 0) {
    }
    Calls calls;
    watch(pipe.writer(), kWritable, calls);
    run_ready();
    EXPECT_TRUE(calls.events.empty());
    std::vector<char> all(1 << 20);
    ASSERT_GT(::read(pipe.reader(), all.data(), all.size()), 0);
    EXPECT_TRUE(run_until([&] { return !calls.events.empty(); }));
    EXPECT_EQ(calls.events.front(), kWritable);
}

TEST_F(EventLoopTest, BothAreToldTogether)
{
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    Calls calls;
    watch(ends[0], kReadable | kWritable, calls);
    EXPECT_TRUE(run_until([&] { return !calls.events.empty(); }));
    EXPECT_EQ(calls.events.front(), kReadable | kWritable);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(EventLoopTest, HangupIsToldThoughNobodyAsked)
{
    Pipe pipe;
    Calls calls;
    watch(pipe.reader(), kReadable, calls);
    pipe.close_writer();
    EXPECT_TRUE(run_until([&] { return !calls.events.empty(); }));
    EXPECT_EQ(calls.events.front(), kHangup);
}

TEST_F(EventLoopTest, HangupAloneCanBeWatchedFor)
{
    Pipe pipe;
    Calls calls;
    watch(pipe.reader(), kHangup, calls);
    pipe.write();
    run_ready();
    EXPECT_TRUE(calls.events.empty());
    pipe.close_writer();
    EXPECT_TRUE(run_until([&] { return !calls.events.empty(); }));
    EXPECT_EQ(calls.events.front() & kHangup, kHangup);
}

TEST_F(EventLoopTest, NothingWantedIsNothingTold)
{
    Pipe pipe;
    Calls calls;
    const int number = watch(pipe.reader(), kReadable, calls);
    loop_.update_handle(number, 0);
    pipe.write();
    run_ready();
    EXPECT_TRUE(calls.events.empty());
    loop_.update_handle(number, kReadable);
    EXPECT_TRUE(run_until([&] { return !calls.events.empty(); }));
    // Nor by a wait that is under way.
    loop_.update_handle(number, 0);
    const auto before = calls.events.size();
    run_ready();
    EXPECT_EQ(calls.events.size(), before);
}

TEST_F(EventLoopTest, TwoWatchesOfOneDescriptorAreIndependent)
{
    Pipe pipe;
    Calls one;
    Calls two;
    const int number = watch(pipe.reader(), kReadable, one);
    watch(pipe.reader(), kReadable, two);
    pipe.write();
    EXPECT_TRUE(
        run_until([&] { return !one.events.empty() && !two.events.empty(); }));
    loop_.remove_handle(number);
    run_ready();
    const auto before = one.events.size();
    const auto more = two.events.size() + 2;
    EXPECT_TRUE(run_until([&] { return two.events.size() >= more; }));
    EXPECT_EQ(one.events.size(), before);
}

TEST_F(EventLoopTest, RemovedIsFreedLaterAndOnce)
{
    Pipe pipe;
    Calls calls;
    const int number = watch(pipe.reader(), kReadable, calls);
    pipe.write();
    EXPECT_EQ(loop_.remove_handle(number), 0);
    EXPECT_EQ(calls.freed, 0);  // libvirt may hold a lock
    EXPECT_EQ(loop_.remove_handle(number), -1);
    run_ready();
    EXPECT_EQ(calls.freed, 1);
    EXPECT_TRUE(calls.events.empty());
}

TEST_F(EventLoopTest, CallbackMayRemoveItself)
{
    Pipe pipe;
    Calls calls;
    const int number = watch(pipe.reader(), kReadable, calls);
    calls.then = [&] { loop_.remove_handle(number); };
    pipe.write();
    EXPECT_TRUE(run_until([&] { return calls.freed == 1; }));
    run_ready();
    EXPECT_EQ(calls.events.size(), 1u);
}

TEST_F(EventLoopTest, DescriptorOfLibvirtStaysOpen)
{
    Pipe pipe;
    Calls calls;
    loop_.remove_handle(watch(pipe.reader(), kReadable, calls));
    run_ready();
    pipe.write();
    EXPECT_EQ(pipe.read(), 'x');
}

TEST_F(EventLoopTest, WhatCannotBeWatchedIsRefused)
{
    Calls calls;
    EXPECT_EQ(watch(-1, kReadable, calls), -1);
    EXPECT_EQ(loop_.remove_handle(77), -1);
    EXPECT_EQ(loop_.remove_timeout(77), -1);
    loop_.update_handle(77, kReadable);
    loop_.update_timeout(77, 1);
    run_ready();
    EXPECT_EQ(calls.freed, 0);
}

// ---- timers -----------------------------------------------------------------

TEST_F(EventLoopTest, TimerGoesOnUntilItIsStopped)
{
    Calls calls;
    const int timer = every(1, calls);
    EXPECT_TRUE(run_until([&] { return calls.events.size() >= 3; }));
    loop_.update_timeout(timer, -1);
    run_ready();
    const auto before = calls.events.size();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    run_ready();
    EXPECT_EQ(calls.events.size(), before);
    loop_.update_timeout(timer, 0);
    EXPECT_TRUE(run_until([&] { return calls.events.size() > before + 2; }));
}

TEST_F(EventLoopTest, StoppedTimerNeverRuns)
{
    Calls calls;
    every(-1, calls);
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    run_ready();
    EXPECT_TRUE(calls.events.empty());
}

TEST_F(EventLoopTest, TimerThatIsDueButStoppedMeanwhileIsNotTold)
{
    Calls calls;
    const int timer = every(1, calls);
    run_ready();
    calls.events.clear();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    loop_.update_timeout(timer, -1);
    run_ready();
    EXPECT_TRUE(calls.events.empty());
}

TEST_F(EventLoopTest, TimerMayStopAndRemoveItselfInItsCallback)
{
    Calls calls;
    const int timer = every(0, calls);
    calls.then = [&] {
        loop_.update_timeout(timer, -1);
        loop_.remove_timeout(timer);
    };
    EXPECT_TRUE(run_until([&] { return calls.freed == 1; }));
    run_ready();
    EXPECT_EQ(calls.events.size(), 1u);
}

TEST_F(EventLoopTest, ZeroDoesNotStarveOthers)
{
    Pipe pipe;
    Calls zero;
    Calls calls;
    every(0, zero);
    watch(pipe.reader(), kReadable, calls);
    pipe.write();
    EXPECT_TRUE(run_until(
        [&] { return calls.events.size() > 2 && zero.events.size() > 2; }));
}

// ---- threads, and the end ---------------------------------------------------

TEST_F(EventLoopTest, OtherThreadsMayAddAndRemove)
{
    constexpr int kRounds = 200;
    Pipe pipe;
    pipe.write();
    std::array<Calls, 2> calls;
    const auto work = asio::make_work_guard(io_);
    std::thread runner{[&] { io_.run(); }};
    const auto churn = [&](Calls& mine) {
        for (int i = 0; i < kRounds; ++i) {
            const int number = watch(pipe.reader(), kReadable, mine);
            const int timer = every(0, mine);
            loop_.update_handle(number, kReadable | kWritable);
            loop_.update_timeout(timer, 1);
            loop_.remove_timeout(timer);
            loop_.remove_handle(number);
        }
    };
    std::thread one{churn, std::ref(calls[0])};
    std::thread two{churn, std::ref(calls[1])};
    one.join();
    two.join();
    asio::post(io_, [&] { io_.stop(); });
    runner.join();
    run_ready();
    EXPECT_EQ(calls[0].freed, 2 * kRounds);
    EXPECT_EQ(calls[1].freed, 2 * kRounds);
}

TEST(EventLoopEnd, FreesWhatIsLeft)
{
    Pipe pipe;
    Calls handle;
    Calls timer;
    asio::io_context io;
    {
        EventLoop loop{io};
        loop.add_handle(pipe.reader(), kReadable, Calls::on_handle, &handle,
                        Calls::on_free);
        loop.add_timeout(5, Calls::on_timeout, &timer, Calls::on_free);
    }
    EXPECT_EQ(handle.freed, 1);
    EXPECT_EQ(timer.freed, 1);
}

// ---- libvirt itself ---------------------------------------------------------

TEST(InstalledLoop, LibvirtDeliversEventsThroughIt)
{
    // libvirt's own driver for tests: a domain in this process's memory.
    auto& io = installed_loop();
    const ConnectionPtr connection{::virConnectOpen("test:///default")};
    ASSERT_NE(connection, nullptr) << ::virGetLastErrorMessage();
    const DomainPtr domain = find_domain(connection.get(), "test");
    std::vector<int> seen;
    const int callback = ::virConnectDomainEventRegisterAny(
        connection.get(), nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        VIR_DOMAIN_EVENT_CALLBACK(
            +[](virConnectPtr, virDomainPtr, int event, int, void* self) {
                static_cast<std::vector<int>*>(self)->push_back(event);
                return 0;
            }),
        &seen, nullptr);
    ASSERT_GE(callback, 0);
    ASSERT_EQ(::virDomainSuspend(domain.get()), 0);
    ASSERT_EQ(::virDomainResume(domain.get()), 0);
    EXPECT_TRUE(seen.empty());
    const auto end = std::chrono::steady_clock::now() + test::patience();
    while (seen.size() < 2 && std::chrono::steady_clock::now() < end) {
        io.restart();
        io.run_one_for(std::chrono::milliseconds{20});
    }
    EXPECT_EQ(seen, (std::vector<int>{VIR_DOMAIN_EVENT_SUSPENDED,
                                      VIR_DOMAIN_EVENT_RESUMED}));
    ::virConnectDomainEventDeregisterAny(connection.get(), callback);
}

}  // namespace
}  // namespace ipidefer::libvirt
