// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer stat and top.

#include "host/cli/cli_testing.hpp"
#include "host/segment/status.hpp"

namespace ipidefer::cli {
namespace {

using namespace test;

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

TEST_F(CliTest, StatRefusesWhatMeansNothing)
{
    const TestVm vm{folder_.path(), "web"};
    const auto refused = [&](const Arguments& more) {
        Arguments all{"stat", "web"};
        all.insert(all.end(), more.begin(), more.end());
        const auto result = run(all);
        EXPECT_EQ(result.status, kCannotRun) << result.output;
        return result.output;
    };
    EXPECT_EQ(refused({"--count", "3"}),
              "ipidefer: --count: 3 needs --interval\n");
    EXPECT_TRUE(
        refused({"--interval", "x"}).starts_with("ipidefer: --interval: "));
    (void)refused({"--interval", "1s", "--count", "-1"});
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

/// It drew as fast as it could where nobody can press a key.
TEST_F(CliTest, TopWithoutATerminalIsNotPossible)
{
    const auto result = run({"top"});
    EXPECT_EQ(result.status, 77);
    EXPECT_EQ(result.output,
              "ipidefer: top: there is no terminal; use -1 or --json\n");
}

}  // namespace
}  // namespace ipidefer::cli
