// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "base/failure.hpp"
#include "base/program.hpp"

namespace ipidefer {
namespace {

using namespace std::chrono_literals;

constexpr char kShell[] = "/bin/sh";

TEST(ProcessTest, StatusIsThatOfTheProgramOrOfTheSignal)
{
    EXPECT_EQ(
        (Process{{.program = kShell, .arguments = {"-c", "exit 3"}}}).wait(),
        3);
    EXPECT_EQ((Process{{.program = kShell, .arguments = {"-c", "kill -9 $$"}}})
                  .wait(),
              128 + SIGKILL);
}

TEST(ProcessTest, ProgramThatIsNotThereIsNamed)
{
    try {
        const Process process{{.program = "/nonexistent/program"}};
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_STREQ(
            failure.what(),
            "cannot run /nonexistent/program: No such file or directory");
    }
}

TEST(ProcessTest, WaitHasALimit)
{
    Process process{{.program = kShell, .arguments = {"-c", "read x <&3"}}};
    Process sleeps{{.program = "/bin/sleep", .arguments = {"1000"}}};
    EXPECT_EQ(sleeps.wait_for(10ms), std::nullopt);
    sleeps.signal(SIGTERM);
    EXPECT_EQ(sleeps.wait_for(60s), 128 + SIGTERM);
    EXPECT_EQ(sleeps.wait_for(0ms), 128 + SIGTERM);
    sleeps.signal(SIGKILL);        // to nobody
    EXPECT_NE(process.wait(), 0);  // there is no descriptor 3
}

TEST(ProcessTest, IsGoneWithItsOwner)
{
    pid_t pid = -1;
    {
        const Process sleeps{{.program = "/bin/sleep", .arguments = {"1000"}}};
        pid = sleeps.pid();
    }
    EXPECT_NE(::kill(pid, 0), 0);
}

TEST(ProcessTest, PassesTheDescriptorsThatItIsGivenAndNoOther)
{
    const UniqueFd null{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const UniqueFd zero{::open("/dev/zero", O_RDONLY)};  // inherited by itself
    Process process{{.program = kShell,
                     .arguments = {"-c",
                                   "cd /proc/$$/fd; for f in [3-9] ??; "
                                   "do readlink $f; done"},
                     .piped = true,
                     .descriptors = {null.get(), null.get()}}};
    const auto in = stream_of(process.output());
    std::string line;
    std::string all;
    while (std::getline(*in, line)) all += line + ';';
    EXPECT_EQ(all, "/dev/null;/dev/null;");
}

TEST(ProcessTest, OutputIsAStream)
{
    Process process{{.program = kShell,
                     .arguments = {"-c", "echo $NAME; echo two >&2"},
                     .environment = {"NAME=one"},
                     .piped = true}};
    const auto in = stream_of(process.output());
    std::string line;
    std::string all;
    while (std::getline(*in, line)) all += line + ';';
    EXPECT_EQ(all, "one;two;");
    EXPECT_EQ(process.wait(), 0);
}

TEST(RunProgram, GivesUpAProgramThatDoesNotEnd)
{
    EXPECT_EQ(run_program(kShell, {"-c", "echo hello; exit 2"}, 60s)->output,
              "hello\n");
    EXPECT_EQ(run_program("/bin/sleep", {"1000"}, 20ms), std::nullopt);
    // It closes what we read from, and runs on.
    EXPECT_EQ(run_program(kShell, {"-c", "exec >&- 2>&-; sleep 1000"}, 20ms),
              std::nullopt);
}

}  // namespace
}  // namespace ipidefer
