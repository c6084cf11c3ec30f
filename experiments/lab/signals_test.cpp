// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

using namespace std::chrono_literals;

int status_of(EndingSignals& signals, Process& program)
{
    try {
        return signals.wait_for(program).value_or(-1);
    } catch (const Failure& failure) {
        return static_cast<int>(failure.exit());
    }
}

/// The first one was waited for, and the second, while we tidied up, ended us.
TEST(EndingSignals, SecondOneDoesNotKeepUsFromTidyingUp)
{
    EndingSignals signals;
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
        Process sleeps{{.program = "/bin/sleep", .arguments = {"60"}}};
        ::raise(number);
        EXPECT_EQ(status_of(signals, sleeps), kSignalled + number);
        // It was asked to end.
        EXPECT_EQ(sleeps.wait_for(0ms), kSignalled + SIGTERM);
    }
    ::raise(SIGTERM);
    ::raise(SIGTERM);
}

TEST(EndingSignals, WithoutOneAProgramEndsByItselfOrRunsOn)
{
    EndingSignals signals;
    Process fails{{.program = "/bin/false"}};
    EXPECT_EQ(signals.wait_for(fails), 1);
    Process sleeps{{.program = "/bin/sleep", .arguments = {"60"}}};
    EXPECT_EQ(signals.wait_for(sleeps, 1ms), std::nullopt);
    EXPECT_EQ(sleeps.wait_for(0ms), std::nullopt);
}

}  // namespace
}  // namespace ipidefer::lab
