// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer trace: filters, formats, and many readers at a time.
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/file.hpp"
#include "host/cli/cli_testing.hpp"
#include "host/segment/status.hpp"

namespace ipidefer::cli {
namespace {

using namespace test;

class CliTraceTest : public CliTest {
  protected:
    /// Events that are in the ring already, for --buffered.
    void fill()
    {
        ipidefer_set_trace(vm_.vm(), IPIDEFER_TRACE_ALL);
        vm_.send(0, kSyncCore, {1, 2});
        vm_.send(1, kSyncCore, {3});
        vm_.write_icr(0, 0xfd, {2});
    }
    std::size_t count(Arguments more)
    {
        more.insert(more.begin(), {"trace", "web", "--buffered", "--json"});
        return run_json_lines(more).size();
    }

    TestVm vm_{folder_.path(), "web"};
};

TEST_F(CliTraceTest, BufferedEventsAreShownAndFiltered)
{
    fill();
    EXPECT_EQ(count({}), 6u);
    EXPECT_EQ(count({"-e", "ipi_send"}), 3u);
    EXPECT_EQ(count({"-e", "ipi_send", "-f", "cpumask & CPUS{2-3}"}), 3u);
    EXPECT_EQ(count({"-e", "ipi_send", "-f", "cpumask == CPUS{2}"}), 1u);
    EXPECT_EQ(count({"-f", "verdict == delivered && cpu & CPUS{1}"}), 1u);
    EXPECT_EQ(count({"-e", "ipi_send", "-f", "cpumask == CPUS{2}", "-f",
                     "verdict == delivered && cpu & CPUS{1}"}),
              2u);
    EXPECT_EQ(
        count({"-e", "ipi_verdict", "-f", "sender == 0", "-f", "cpu == 2"}),
        1u);
    EXPECT_EQ(count({"--count", "2"}), 2u);
}

TEST_F(CliTraceTest, WrongFilterPointsAtTheColumn)
{
    const auto result = run({"trace", "web", "-f", "cpu == 1 && foo == 2"});
    EXPECT_EQ(result.status, kCannotRun);
    EXPECT_NE(result.output.find("cpu == 1 && foo == 2\n            ^\n"),
              std::string::npos)
        << result.output;
    EXPECT_EQ(ipidefer_trace(vm_.vm()), 0u);
}

TEST_F(CliTraceTest, TracingIsOnWhileItRunsAndOffAfterwards)
{
    std::atomic<bool> done{false};
    std::jthread sender{[&] {
        while (!done.load()) {
            vm_.send(0, kSyncCore, {2});
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }};
    const auto lines = run_json_lines(
        {"trace", "web", "-e", "ipi_verdict", "--count", "3", "--json"});
    done.store(true);
    EXPECT_EQ(lines.size(), 3u);
    for (const json& line : lines) EXPECT_EQ(line["event"], "ipi_verdict");
    EXPECT_EQ(ipidefer_trace(vm_.vm()), 0u);
}

/// A VM that sends and ticks all the time, and readers of its trace.
class CliReadersTest : public CliTraceTest {
  protected:
    ~CliReadersTest() override
    {
        stop_.store(true);
        for (const pid_t child : children_) {
            ::kill(child, SIGKILL);
            ::waitpid(child, nullptr, 0);
        }
    }

    /// @return its pid; it traces already
    pid_t start(Arguments more, const std::filesystem::path& output)
    {
        const std::uint64_t before = leases();
        more.insert(more.begin(),
                    {IPIDEFER, "--shm-dir", folder_.path().string(), "trace",
                     "web", "--json"});
        std::vector<char*> argv;
        for (std::string& argument : more) argv.push_back(argument.data());
        argv.push_back(nullptr);
        const pid_t child = ::fork();
        if (child == 0) {
            const int fd =
                ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
            ::dup2(fd, STDOUT_FILENO);
            ::dup2(fd, STDERR_FILENO);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
        children_.insert(child);
        wait_until([&] { return leases() == before + 1; });
        return child;
    }
    int end(pid_t child, int signal)
    {
        ::kill(child, signal);
        int status = -1;
        ::waitpid(child, &status, 0);
        children_.erase(child);
        return status;
    }
    std::uint64_t leases()
    {
        const segment::OpenVm vm{folder_.path(), "web"};
        std::uint64_t count = 0;
        for (const std::uint64_t& lease : vm.segment().policy().lease)
            count += segment::load(lease) != 0 ? 1 : 0;
        return count;
    }
    [[nodiscard]] std::uint32_t traced() const
    {
        return ipidefer_trace(vm_.vm());
    }
    template <class Done>
    static void wait_until(Done done)
    {
        using Clock = std::chrono::steady_clock;
        const auto limit = Clock::now() + std::chrono::minutes{1};
        while (!done()) {
            ASSERT_LT(Clock::now(), limit);
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
    }

    const std::filesystem::path out_ = folder_.path() / "out";

  private:
    std::set<pid_t> children_;
    std::atomic<bool> stop_{false};
    std::jthread sender_{[this] {
        while (!stop_.load()) {
            vm_.send(0, kSyncCore, {2});
            vm_.tick(segment::read_tsc());
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }};
};

TEST_F(CliReadersTest, FirstThatEndsFirstDoesNotBlindTheSecond)
{
    const pid_t first = start({}, "/dev/null");
    const pid_t second = start({"-e", "ipi_verdict"}, out_);
    EXPECT_EQ(end(first, SIGINT), 0);
    EXPECT_EQ(traced(), std::uint32_t{IPIDEFER_TRACE_VERDICT});
    const auto seen = std::filesystem::file_size(out_);
    wait_until([&] { return std::filesystem::file_size(out_) > seen; });
    EXPECT_EQ(end(second, SIGINT), 0);
    EXPECT_EQ(traced(), 0u);
}

TEST_F(CliReadersTest, KilledOneLeavesTheVmAsItWas)
{
    end(start({}, "/dev/null"), SIGKILL);
    EXPECT_EQ(traced(), std::uint32_t{IPIDEFER_TRACE_ALL});
    wait_until([&] { return traced() == 0; });
    EXPECT_EQ(leases(), 0u);
    EXPECT_EQ(run_json({"policy", "web", "--json"})["trace"], 0);
}

TEST_F(CliReadersTest, WhatTheVmmTracesStaysWhenAReaderIsKilled)
{
    ipidefer_set_trace(vm_.vm(), IPIDEFER_TRACE_SEND);
    end(start({}, "/dev/null"), SIGKILL);
    wait_until([&] { return leases() == 0; });
    EXPECT_EQ(traced(), std::uint32_t{IPIDEFER_TRACE_SEND});
}

TEST_F(CliReadersTest, SignalsEndInOrder)
{
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        EXPECT_EQ(end(start({}, "/dev/null"), signal), 0) << signal;
        EXPECT_EQ(traced(), 0u) << signal;
        EXPECT_EQ(leases(), 0u) << signal;
    }
}

TEST_F(CliReadersTest, ReaderOfItsOutputThatGoesEndsItInOrder)
{
    const auto result = run_program(
        "/bin/bash", {"-c",
                      "set -o pipefail; exec 2>&1; \"$1\" --shm-dir \"$2\" "
                      "trace web | head -n 3",
                      "bash", IPIDEFER, folder_.path().string()});
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_EQ(std::ranges::count(result.output, '\n'), 3) << result.output;
    EXPECT_EQ(traced(), 0u);
    EXPECT_EQ(leases(), 0u);
}

TEST_F(CliReadersTest, OneThatStoodStillSaysSoAndGoesOn)
{
    const pid_t reader = start({}, out_);
    ::kill(reader, SIGSTOP);
    wait_until([&] { return traced() == 0; });
    ::kill(reader, SIGCONT);
    wait_until([&] { return traced() != 0; });
    EXPECT_EQ(end(reader, SIGINT), 0);
    EXPECT_NE(read_whole(out_).find("the VM was not traced for a while"),
              std::string::npos);
}

TEST_F(CliReadersTest, OneTooManyIsRefusedAndNamesTheLimit)
{
    segment::OpenVm vm{folder_.path(), "web", true};
    for (std::uint64_t& lease : vm.policy().lease) lease = 0x100000001;
    const auto result = run({"trace", "web"});
    EXPECT_EQ(result.status, kCannotRun);
    EXPECT_NE(result.output.find("32 readers trace it already, which is the "
                                 "limit"),
              std::string::npos)
        << result.output;
}

TEST_F(CliTraceTest, FullDiskIsNamed)
{
    fill();
    const auto result = run({"trace", "web", "--buffered", "-o", "/dev/full"});
    EXPECT_EQ(result.status, kCannotRun);
    EXPECT_NE(result.output.find("cannot write the trace: No space left"),
              std::string::npos)
        << result.output;
}

TEST_F(CliTraceTest, EndsWithTheDuration)
{
    EXPECT_EQ(run({"trace", "web", "--duration", "50ms"}).status, kDone);
}

TEST_F(CliTraceTest, PerfettoIsWrittenToAFile)
{
    fill();
    const auto file = folder_.path() / "out.pftrace";
    EXPECT_EQ(run({"trace", "web", "--buffered", "--format", "perfetto", "-o",
                   file.string()})
                  .status,
              kDone);
    // Parsed in perfetto_test.cpp; this is the tag of Trace.packet.
    EXPECT_TRUE(read_whole(file).starts_with("\x0a"));
}

TEST_F(CliTraceTest, GuestTraceIsMergedByTsc)
{
    fill();
    const auto events =
        run_json_lines({"trace", "web", "--buffered", "--json"});
    const auto last = events.back()["tsc"].get<std::uint64_t>();
    const auto first = events.front()["tsc"].get<std::uint64_t>();
    constexpr std::uint64_t kOffset = 1'000;
    const auto file = folder_.path() / "guest.txt";
    std::ofstream{file} << "sh-1 [001] " << last + kOffset + 1 << ": b: late\n"
                        << "sh-1 [001] " << first + kOffset - 1
                        << ": a: early\n";
    const Arguments merge{"trace",  "web",           "--buffered",
                          "--json", "--guest-trace", file.string()};
    EXPECT_EQ(run(merge).status, kCannotRun);  // how do the TSCs differ?
    Arguments with_offset = merge;
    with_offset.insert(with_offset.end(),
                       {"--tsc-offset", std::to_string(kOffset)});
    const auto merged = run_json_lines(with_offset);
    ASSERT_EQ(merged.size(), events.size() + 2);
    EXPECT_EQ(merged.front()["text"], "a: early");
    EXPECT_EQ(merged.back()["text"], "b: late");
}

TEST_F(CliTraceTest, WhatMeansNothingIsRefused)
{
    fill();
    const auto refused = [&](const Arguments& more) {
        Arguments all{"trace", "web", "--buffered"};
        all.insert(all.end(), more.begin(), more.end());
        const auto result = run(all);
        EXPECT_EQ(result.status, kCannotRun) << result.output;
        return result.output;
    };
    EXPECT_EQ(refused({"--tsc-offset", "5"}),
              "ipidefer: --tsc-offset: 5 needs --guest-trace\n");
    EXPECT_EQ(refused({"--json", "--format", "text"}),
              "ipidefer: --format: 'text' and --json are two formats: one of "
              "them is needed\n");
    EXPECT_EQ(refused({"--count", "-1"}),
              "ipidefer: --count: '-1' is not a number of events from 0\n");
    EXPECT_TRUE(
        refused({"--duration", "x"}).starts_with("ipidefer: --duration: "));
    EXPECT_EQ(count({"--format", "json"}), 6u);
}

TEST_F(CliTraceTest, VmWithoutARingCannotBeTraced)
{
    const TestVm none{folder_.path(), "none", {.ring_entries = 0}};
    EXPECT_EQ(run({"trace", "none"}).status, kNotPossible);
}

}  // namespace
}  // namespace ipidefer::cli
