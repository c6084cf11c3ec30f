// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer policy.

#include "host/cli/cli_testing.hpp"

namespace ipidefer::cli {
namespace {

using namespace test;

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
              "denied none -> sync_core\nmax_age none -> 10ms\n");
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

/// It showed the policy, and a script believed that it had changed it.
TEST_F(CliTest, EmptyValueIsRefused)
{
    const TestVm vm{folder_.path(), "web"};
    for (const std::string option :
         {"--isolated", "--user", "--guest", "--idle", "--max-age"}) {
        const auto result = run({"policy", "web", option, ""});
        EXPECT_EQ(result.status, kCannotRun);
        EXPECT_EQ(result.output,
                  "ipidefer: " + option +
                      ": '' is no value: it needs one, or is left out\n");
    }
    EXPECT_EQ(run({"stat", ""}).status, kCannotRun);
    EXPECT_EQ(run({"policy", "web"}).status, kDone);
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

}  // namespace
}  // namespace ipidefer::cli
