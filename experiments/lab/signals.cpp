// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iostream>
#include <string>

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// For a lab that is to end its guest, and to remove its folder.
constexpr auto kOrderlyEnd = 10s;

/// As SIGHUP of nohup(1).
bool is_ignored(int number)
{
    struct sigaction now = {};
    return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

EndingSignals::EndingSignals() : signals_{io_, SIGINT, SIGTERM}
{
    for (const int number : {SIGHUP, SIGPIPE})
        if (!is_ignored(number)) signals_.add(number);
}

asio::awaitable<int> EndingSignals::any()
{
    co_return co_await signals_.async_wait(asio::use_awaitable);
}

std::optional<int> EndingSignals::wait_for(
    Process& program, std::optional<std::chrono::milliseconds> limit)
{
    int signal = 0;
    asio::posix::stream_descriptor ended{io_, ::dup(program.pidfd())};
    asio::steady_timer timer{io_};
    io_.restart();
    // Whichever comes first ends the others' waiting.
    const auto stop = [this](auto&&...) { io_.stop(); };
    ended.async_wait(asio::posix::stream_descriptor::wait_read, stop);
    signals_.async_wait([&](boost::system::error_code error, int number) {
        if (!error) signal = number;
        io_.stop();
    });
    if (limit) {
        timer.expires_after(*limit);
        timer.async_wait(stop);
    }
    io_.run();
    // Nothing that refers to this call is left to run.
    ended.cancel();
    timer.cancel();
    const int came = signal;
    signals_.cancel();
    io_.restart();
    io_.poll();
    if (came == 0) return program.wait_for(0ms);
    program.signal(SIGTERM);
    (void)program.wait_for(kOrderlyEnd);
    throw Failure{static_cast<Exit>(kSignalled + came),
                  "ended by signal " + std::to_string(came)};
}

int ended_by_signal(int number)
{
    std::cerr << "ipidefer: ended by signal " << number << '\n';
    return kSignalled + number;
}

}  // namespace ipidefer::lab
