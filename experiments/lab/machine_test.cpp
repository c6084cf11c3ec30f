// SPDX-License-Identifier: GPL-2.0-or-later
// A Machine whose QEMU is a script: how it is started and watched.
#include "experiments/lab/machine.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fstream>

#include "base/scratch.hpp"
#include "experiments/lab/qemu_command.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;

class MachineTest : public testing::Test {
  protected:
    /// What ends the wait for a QEMU that is `script`.
    Failure failure_of(const std::string& script,
                       std::chrono::seconds patience = std::chrono::seconds{30},
                       bool emulated_host = false)
    {
        MachineSpec spec;
        spec.qemu = "/bin/sh";
        spec.arguments = {"-c", script};
        spec.sockets = spec.logs = scratch_.path();
        spec.patience = patience;
        spec.emulated_host = emulated_host;
        asio::io_context io;
        auto done = asio::co_spawn(
            io,
            [&]() -> asio::awaitable<void> {
                Machine machine{io.get_executor(), spec};
                (void)co_await machine.connect();
            },
            asio::use_future);
        io.run();
        try {
            done.get();
        } catch (const Failure& failure) {
            return failure;
        }
        return {Exit::kDone, "it did not fail"};
    }

    /// A QEMU whose console says this.
    [[nodiscard]] std::string that_says(const std::string& line) const
    {
        return "exec /usr/bin/python3 -c 'import socket, time\n"
               "console = socket.socket(socket.AF_UNIX)\n"
               "console.connect(\"" +
               (scratch_.path() / kConsoleSocket).string() +
               "\")\nconsole.sendall(b\"" + line + "\\n\")\ntime.sleep(100)'";
    }

    Scratch scratch_;
};

// What the shell opened to list the folder is closed again when it looks.
constexpr char kShowFiles[] =
    "for f in /proc/$$/fd/*; do [ -e $f ] && echo \"has ${f##*/}\"; done; exit "
    "3";
constexpr char kStreams[] = "has 0\nhas 1\nhas 2\n";

TEST_F(MachineTest, QemuInheritsNothingButItsStreams)
{
    const int inherited = ::open("/", O_RDONLY | O_DIRECTORY);
    ASSERT_GE(inherited, 0);
    const Failure failure = failure_of(kShowFiles);
    ::close(inherited);
    EXPECT_STREQ(failure.what(), "QEMU ended with status 3");
    EXPECT_EQ(failure.exit(), Exit::kCannotRun);
    EXPECT_EQ(failure.detail(), kStreams);
}

TEST_F(MachineTest, QemuIsStartedWhereThereIsNoDevFd)
{
    constexpr int kSkip = 77;
    const pid_t child = ::fork();
    if (child == 0) {
        // A /dev with nothing but null, for this process alone.
        const std::string dev = (scratch_.path() / "dev").string();
        std::filesystem::create_directory(dev);
        std::ofstream{dev + "/null"};
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("/dev/null", (dev + "/null").c_str(), nullptr, MS_BIND,
                    nullptr) != 0 ||
            ::mount(dev.c_str(), "/dev", nullptr, MS_BIND | MS_REC, nullptr) !=
                0)
            ::_exit(kSkip);
        ::_exit(::access("/dev/fd", F_OK) == 0                ? 1
                : failure_of(kShowFiles).detail() == kStreams ? 0
                                                              : 2);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == kSkip)
        GTEST_SKIP() << "no mount namespace may be made here";
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(MachineTest, ProgramThatCannotRunIsSaid)
{
    MachineSpec spec;
    spec.qemu = "/nonexistent";
    spec.sockets = spec.logs = scratch_.path();
    asio::io_context io;
    EXPECT_THROW((Machine{io.get_executor(), spec}), Failure);
}

TEST_F(MachineTest, SilenceIsADefect)
{
    const Failure failure =
        failure_of("exec sleep 100", std::chrono::seconds{1});
    EXPECT_STREQ(failure.what(),
                 "no sign of life from the guest for 1 seconds (--timeout) "
                 "(while starting QEMU)");
    EXPECT_EQ(failure.exit(), Exit::kDefect);
}

constexpr std::chrono::seconds kPatience{30};
constexpr char kLate[] = "watchdog: BUG: soft lockup - CPU#1";

TEST_F(MachineTest, LatenessIsADefectOfAGuestThatRan)
{
    EXPECT_EQ(failure_of(that_says(kLate), kPatience, false).exit(),
              Exit::kDefect);
}

TEST_F(MachineTest, LatenessInTheBoxIsNone)
{
    const Failure failure = failure_of(that_says(kLate), kPatience, true);
    EXPECT_EQ(failure.exit(), Exit::kCannotRun);
    EXPECT_TRUE(std::string{failure.what()}.starts_with(
        "the host starved the box for 20 s, no verdict: a soft lockup: "))
        << failure.what();
}

TEST_F(MachineTest, OtherTroubleInTheBoxIsADefect)
{
    EXPECT_EQ(
        failure_of(that_says("kernel BUG at mm/rmap.c:1"), kPatience, true)
            .exit(),
        Exit::kDefect);
}

TEST_F(MachineTest, SilenceOfAQemuThatTheHostStopsIsNone)
{
    const Failure failure =
        failure_of("kill -STOP $$", std::chrono::seconds{3});
    EXPECT_EQ(failure.exit(), Exit::kCannotRun);
    EXPECT_TRUE(std::string{failure.what()}.starts_with(
        "the host starved QEMU's main thread for "))
        << failure.what();
}

}  // namespace
}  // namespace ipidefer::lab
