// SPDX-License-Identifier: GPL-2.0-or-later
// The program itself, on VMs of this process: what an operator types, and what
// then happens to the VM.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "base/failure.hpp"
#include "base/program.hpp"
#include "host/segment/status.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::cli {
namespace {

using nlohmann::json;
using segment::test::kSyncCore;
using segment::test::TestVm;
using Arguments = std::vector<std::string>;

constexpr int kDone = static_cast<int>(Exit::kDone);
constexpr int kCannotRun = static_cast<int>(Exit::kCannotRun);
constexpr int kDefect = static_cast<int>(Exit::kDefect);
constexpr int kNotPossible = static_cast<int>(Exit::kNotPossible);

std::string read_file(const std::filesystem::path& path)
{
    std::ifstream in{path};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

class CliTest : public ::testing::Test {
  protected:
    ProgramResult run(Arguments arguments)
    {
        arguments.insert(arguments.begin(),
                         {"--shm-dir", folder_.path().string()});
        return run_program(IPIDEFER, arguments);
    }
    json run_json(const Arguments& arguments)
    {
        const auto result = run(arguments);
        EXPECT_EQ(result.status, kDone) << result.output;
        return json::parse(result.output);
    }
    std::vector<json> run_json_lines(const Arguments& arguments)
    {
        const auto result = run(arguments);
        EXPECT_EQ(result.status, kDone) << result.output;
        std::vector<json> all;
        std::istringstream in{result.output};
        for (std::string line; std::getline(in, line);)
            all.push_back(json::parse(line));
        return all;
    }
    void die_with_segment(const std::string& name)
    {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            const TestVm vm{folder_.path(), name};
            ::_exit(0);
        }
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    }

    shm::test::TemporaryFolder folder_;
};

// ---- list ------------------------------------------------------------------

TEST_F(CliTest, ListShowsVmsWithTheirState)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("old");
    const json list = run_json({"list", "--json"});
    ASSERT_EQ(list["vms"].size(), 2u);
    EXPECT_EQ(list["vms"][0]["name"], "old");
    EXPECT_EQ(list["vms"][0]["state"], "stale");
    EXPECT_EQ(list["vms"][1]["name"], "web");
    EXPECT_EQ(list["vms"][1]["state"], "running");
    EXPECT_EQ(list["vms"][1]["policy"]["isolated"], "2-3");
    const auto text = run({"list"});
    EXPECT_NE(text.output.find("web                     running"),
              std::string::npos)
        << text.output;
}

TEST_F(CliTest, ListCleansUpAfterTheDeadOnly)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("old");
    EXPECT_EQ(run({"list", "--clean"}).status, kDone);
    const json list = run_json({"list", "--json"});
    ASSERT_EQ(list["vms"].size(), 1u);
    EXPECT_EQ(list["vms"][0]["name"], "web");
}

TEST_F(CliTest, ListNamesABrokenSegmentAndShowsTheOthers)
{
    const TestVm vm{folder_.path(), "web"};
    std::ofstream{folder_.path() / "ipidefer.bad~00000001"}
        << std::string(8192, 'x');
    const auto result = run({"list"});
    EXPECT_EQ(result.status, kDefect);
    EXPECT_NE(result.output.find("VM 'bad': not a segment: it does not begin"),
              std::string::npos)
        << result.output;
    EXPECT_NE(result.output.find("web"), std::string::npos);
}

TEST_F(CliTest, TwoVmsOfOneNameAreToldApartByTheirIds)
{
    const TestVm one{folder_.path(), "web", {.isolated = {1}}};
    const TestVm two{folder_.path(), "web", {.isolated = {2}}};
    const json vms = run_json({"list", "--json"})["vms"];
    ASSERT_EQ(vms.size(), 2u);
    EXPECT_EQ(vms[0]["name"], "web");
    EXPECT_EQ(vms[0]["id"], one.id());
    EXPECT_EQ(vms[1]["name"], two.id());
    const auto which = run({"policy", "web", "--off"});
    EXPECT_EQ(which.status, kCannotRun);
    EXPECT_NE(which.output.find("there are 2 VMs 'web', give the ID of one: " +
                                one.id() + " (user "),
              std::string::npos)
        << which.output;
    EXPECT_EQ(run({"policy", two.id(), "--off"}).status, kDone);
    EXPECT_TRUE(ipidefer_enabled(one.vm()));
    EXPECT_FALSE(ipidefer_enabled(two.vm()));
}

TEST_F(CliTest, OneThatRunsIsMeantAndNotWhatADeadOneLeft)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("web");  // which does not remove what a running one has
    ASSERT_EQ(run_json({"list", "--json"})["vms"].size(), 2u);
    EXPECT_EQ(run_json({"stat", "web", "--json"})[0]["id"], vm.id());
    EXPECT_EQ(run({"list", "--clean"}).status, kDone);
    EXPECT_EQ(run_json({"list", "--json"})["vms"].size(), 1u);
}

TEST_F(CliTest, NameThatIsNotUtf8CanBeWrittenAndIsShownAsItIsWritten)
{
    const TestVm vm{folder_.path(),
                    "b\xff"
                    "d"};
    EXPECT_EQ(run_json({"list", "--json"})["vms"][0]["name"], "b%FFd");
    EXPECT_EQ(run({"policy", "b%FFd", "--off"}).status, kDone);
    EXPECT_FALSE(ipidefer_enabled(vm.vm()));
    EXPECT_EQ(run({"policy",
                   "b\xff"
                   "d",
                   "--on"})
                  .status,
              kDone);
    EXPECT_TRUE(ipidefer_enabled(vm.vm()));
    EXPECT_NE(run({"stat"}).output.find("VM b%FFd: running"),
              std::string::npos);
    EXPECT_NE(run({"top", "-1", "-d", "100ms"}).output.find("b%FFd"),
              std::string::npos);
}

TEST_F(CliTest, AnotherUsersFileIsNoVmAndIsCounted)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make another user's file";
    std::filesystem::permissions(folder_.path(), std::filesystem::perms{01777});
    const TestVm vm{folder_.path(), "web"};
    const auto file = folder_.path() / "ipidefer.web~00000001";
    std::filesystem::copy_file(folder_.path() / vm.file(), file);
    ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
    const json list = run_json({"list", "--json"});
    EXPECT_EQ(list["vms"].size(), 1u);
    EXPECT_EQ(list["left_out"]["foreign"], 1);
    EXPECT_NE(run({"list"}).output.find("not shown: 1 of users"),
              std::string::npos);
    EXPECT_EQ(run({"stat", "web"}).status, kDone);
    EXPECT_EQ(run_json({"--owner", "65534", "list", "--json"})["vms"].size(),
              1u);
    EXPECT_EQ(run({"--owner", "no.such.user", "list"}).status, kCannotRun);
}

TEST_F(CliTest, NameWithControlCharactersIsShownHarmlessly)
{
    const TestVm vm{folder_.path(), "a\x1b[2J"};
    EXPECT_NE(run({"list"}).output.find("a%1B[2J"), std::string::npos);
    EXPECT_EQ(run_json({"list", "--json"})["vms"][0]["name"], "a%1B[2J");
}

// ---- stat, top -------------------------------------------------------------

TEST_F(CliTest, StatShowsVerdicts)
{
    TestVm vm{folder_.path(), "web"};
    vm.send(0, kSyncCore, {1, 2});
    vm.send(0, kSyncCore, {2});
    vm.tick(segment::read_tsc());
    const json stat = run_json({"stat", "web", "--json"});
    const json& counters = stat[0]["vcpus"][2]["counters"][0];
    EXPECT_EQ(counters["name"], "sync_core");
    EXPECT_EQ(counters["deferred"], 1);
    EXPECT_EQ(counters["coalesced"], 1);
    EXPECT_EQ(stat[0]["vcpus"][1]["counters"][0]["delivered-not-isolated"], 1);
    EXPECT_GT(stat[0]["oldest_pending_ns"], 0);
    const auto text = run({"stat"});
    EXPECT_NE(text.output.find("VM web: running"), std::string::npos);
    EXPECT_NE(text.output.find("2     sync_core"), std::string::npos)
        << text.output;
}

TEST_F(CliTest, StatWithAnIntervalCountsSinceTheLastTime)
{
    TestVm vm{folder_.path(), "web"};
    vm.send(0, kSyncCore, {2});
    const auto lines = run_json_lines(
        {"stat", "web", "--interval", "10ms", "--count", "2", "--json"});
    ASSERT_EQ(lines.size(), 2u);
    for (const json& line : lines)
        EXPECT_EQ(line[0]["vcpus"][2]["counters"][0]["deferred"], 0);
}

TEST_F(CliTest, TopShowsEveryVcpuOnce)
{
    const TestVm vm{folder_.path(), "web"};
    EXPECT_EQ(run_json({"top", "--json", "-d", "100ms"}).size(), 4u);
    EXPECT_EQ(run_json({"top", "--json", "-i", "-d", "100ms"}).size(), 2u);
    EXPECT_EQ(run_json({"top", "--json", "-p", "web", "-d", "100ms"}).size(),
              4u);
    const auto text = run({"top", "-1", "-d", "100ms"});
    EXPECT_EQ(text.status, kDone);
    EXPECT_NE(text.output.find("web"), std::string::npos) << text.output;
}

/// It showed an empty table, as if the VM had no vCPUs.
TEST_F(CliTest, TopRefusesANameThatIsNoVm)
{
    const TestVm vm{folder_.path(), "web"};
    const auto result = run({"top", "-1", "-d", "100ms", "-p", "wbe"});
    EXPECT_EQ(result.status, kCannotRun);
    EXPECT_EQ(result.output, "ipidefer: there is no VM 'wbe'\n");
}

/// It showed the vCPUs of a VM that was killed beside those that run.
TEST_F(CliTest, TopLeavesOutVmsThatEnded)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("old");
    EXPECT_EQ(run_json({"top", "--json", "-d", "100ms"}).size(), 4u);
    EXPECT_EQ(run_json({"top", "--json", "-d", "100ms", "-p", "old"}).size(),
              0u);
}

/// It said only that a subcommand was required.
TEST_F(CliTest, MistypedCommandsAreNamed)
{
    for (const Arguments& arguments :
         {Arguments{"lsit"}, Arguments{"lab", "rnu"}, Arguments{"bench", "x"}}) {
        const auto result = run(arguments);
        EXPECT_EQ(result.status, kCannotRun);
        EXPECT_NE(result.output.find(arguments.back()), std::string::npos)
            << result.output;
    }
}

/// It drew as fast as it could where nobody can press a key.
TEST_F(CliTest, TopWithoutATerminalIsNotPossible)
{
    const auto result = run({"top"});
    EXPECT_EQ(result.status, 77);
    EXPECT_EQ(result.output,
              "ipidefer: top: there is no terminal; use -1 or --json\n");
}

// ---- policy ----------------------------------------------------------------

TEST_F(CliTest, PolicyIsShownAndChanged)
{
    TestVm vm{folder_.path(), "web"};
    EXPECT_EQ(run({"policy", "web"}).output,
              "enabled on\nisolated 2-3\nuser on\nguest on\nidle off\n"
              "max_age none\n");
    const auto change =
        run({"policy", "web", "--isolated", "1-3,^2", "--idle", "on",
             "--vector", "sync_core=off", "--max-age", "10ms"});
    EXPECT_EQ(change.status, kDone);
    EXPECT_EQ(change.output,
              "idle off -> on\nisolated 2-3 -> 1,3\n"
              "denied none -> sync_core\nmax_age 0 -> 10ms\n");
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 1));
    EXPECT_FALSE(ipidefer_isolated(vm.vm(), 2));
    EXPECT_FALSE(ipidefer_vector_allowed(vm.vm(), kSyncCore));
    EXPECT_EQ(ipidefer_max_age(vm.vm()), 10'000'000u);
}

TEST_F(CliTest, KillSwitchTakesEffectAtOnce)
{
    TestVm vm{folder_.path(), "web"};
    EXPECT_TRUE(vm.send(0, kSyncCore, {2}).empty());
    EXPECT_EQ(run_json({"policy", "web", "--off", "--json"})["enabled"], false);
    EXPECT_EQ(vm.send(0, kSyncCore, {2}), (CpuSet{2}));
    EXPECT_EQ(run({"policy", "web", "--on"}).status, kDone);
    EXPECT_TRUE(vm.send(0, kSyncCore, {2}).empty());
}

TEST_F(CliTest, WrongPoliciesChangeNothing)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("old");
    for (const Arguments& wrong :
         std::vector<Arguments>{{"policy", "web", "--isolated", "1-9", "--off"},
                                {"policy", "web", "--user", "yes"},
                                {"policy", "web", "--on", "--off"},
                                {"policy", "none", "--off"},
                                {"policy", "old", "--off"},
                                {"policy"}})
        EXPECT_EQ(run(wrong).status, kCannotRun);
    EXPECT_TRUE(ipidefer_enabled(vm.vm()));
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 2));
}

// ---- trace -----------------------------------------------------------------

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
    EXPECT_NE(read_file(out_).find("the VM was not traced for a while"),
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
    EXPECT_TRUE(read_file(file).starts_with("\x0a"));
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

TEST_F(CliTraceTest, VmWithoutARingCannotBeTraced)
{
    const TestVm none{folder_.path(), "none", {.ring_entries = 0}};
    EXPECT_EQ(run({"trace", "none"}).status, kNotPossible);
}

// ---- check -----------------------------------------------------------------

TEST_F(CliTest, CheckHasALineForEachFinding)
{
    // What it finds here is this machine's; that segments can be there is ours.
    const auto result = run({"check"});
    EXPECT_EQ(result.status, kDone) << result.output;
    EXPECT_TRUE(result.output.starts_with("pass  segments"));
    const json findings = run_json({"check", "--json"});
    for (const json& finding : findings)
        EXPECT_EQ(finding["remedy"] == "",
                  finding["grade"] == "pass" || finding["grade"] == "skip");
    EXPECT_EQ(
        run_program(IPIDEFER, {"--shm-dir", "/nonexistent", "check"}).status,
        kDefect);
}

// ---- What is written about it
// ------------------------------------------------

std::set<std::string> long_options(const std::string& text)
{
    static const std::regex option{"--[a-z][a-z-]*"};
    return {std::sregex_token_iterator{text.begin(), text.end(), option},
            std::sregex_token_iterator{}};
}

TEST_F(CliTest, ManPageAndCompletionKnowEveryOption)
{
    const std::string man = read_file(IPIDEFER_MAN_PAGE);
    const auto completion = long_options(read_file(IPIDEFER_COMPLETION));
    // The lab's own are in docs/LAB.md.
    for (const std::string command : {"list", "stat", "top", "policy", "trace",
                                      "check", "domain", "bench kvm", ""}) {
        Arguments asked;
        std::istringstream words{command};
        for (std::string word; words >> word;) asked.push_back(word);
        asked.emplace_back("--help");
        const auto help = run(asked);
        EXPECT_EQ(help.status, kDone);
        const bool looks = !command.empty() && asked.size() == 2;
        EXPECT_EQ(help.output.find("Exit status:") != std::string::npos, looks)
            << command;
        const auto options = long_options(help.output);
        EXPECT_EQ(options.contains("--json"), !command.empty());
        for (const std::string& option : options) {
            EXPECT_TRUE(completion.contains(option)) << command << option;
            // Short forms stand for these in the man page.
            if (std::set<std::string>{"--help", "--delay", "--vm", "--event",
                                      "--filter", "--output"}
                    .contains(option) ||
                (option == "--isolated" && command == "top"))
                continue;
            EXPECT_NE(man.find("--" + option.substr(2)), std::string::npos)
                << command << ' ' << option;
        }
    }
}

}  // namespace
}  // namespace ipidefer::cli
