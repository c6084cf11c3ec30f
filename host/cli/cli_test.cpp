// SPDX-License-Identifier: GPL-2.0-or-later
// The program itself, on VMs of this process: what an operator types, and what
// then happens to the VM.
#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "failure.hpp"
#include "program.hpp"
#include "status.hpp"
#include "temporary_folder.hpp"
#include "test_vm.hpp"

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
    lab::ProgramResult run(Arguments arguments)
    {
        arguments.insert(arguments.begin(),
                         {"--shm-dir", folder_.path().string()});
        return lab::run_program(IPIDEFER, arguments);
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
    EXPECT_EQ(run_json({"top", "--json", "-p", "no", "-d", "100ms"}).size(),
              0u);
    const auto text = run({"top", "-1", "-d", "100ms"});
    EXPECT_EQ(text.status, kDone);
    EXPECT_NE(text.output.find("web"), std::string::npos) << text.output;
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
        EXPECT_EQ(finding["remedy"] == "", finding["grade"] == "pass");
    EXPECT_EQ(lab::run_program(IPIDEFER, {"--shm-dir", "/nonexistent", "check"})
                  .status,
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
    for (const char* command :
         {"list", "stat", "top", "policy", "trace", "check", "domain"}) {
        const auto help = run({command, "--help"});
        EXPECT_EQ(help.status, kDone);
        EXPECT_NE(help.output.find("Exit status:"), std::string::npos);
        const auto options = long_options(help.output);
        EXPECT_TRUE(options.contains("--json"));
        for (const std::string& option : options) {
            EXPECT_TRUE(completion.contains(option)) << command << option;
            // Short forms stand for these in the man page.
            if (std::set<std::string>{"--help", "--delay", "--vm", "--event",
                                      "--filter", "--output"}
                    .contains(option) ||
                (option == "--isolated" && std::string{command} == "top"))
                continue;
            EXPECT_NE(man.find("--" + option.substr(2)), std::string::npos)
                << command << ' ' << option;
        }
    }
}

}  // namespace
}  // namespace ipidefer::cli
