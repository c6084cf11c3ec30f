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

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;

class MachineTest : public testing::Test {
  protected:
    /// What ends the wait for a QEMU that is `script`.
    Failure failure_of(const std::string& script,
                       std::chrono::seconds patience = std::chrono::seconds{30})
    {
        MachineSpec spec;
        spec.qemu = "/bin/sh";
        spec.arguments = {"-c", script};
        spec.sockets = spec.logs = scratch_.path();
        spec.patience = patience;
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
