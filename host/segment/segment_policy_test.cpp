// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>

#include "host/segment/open.hpp"
#include "host/segment/status.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::segment {
namespace {

using namespace std::chrono_literals;
using test::kSyncCore;

class SegmentPolicyTest : public ::testing::Test {
  protected:
    terms::Policy now() { return read_policy(open_.segment()); }
    void change(const terms::PolicyChange& change)
    {
        apply(change, open_.policy(), open_.segment().vcpus());
    }

    shm::test::TemporaryFolder folder_;
    test::TestVm vm_{folder_.path(), "vm", {.vcpus = 70, .isolated = {2, 66}}};
    OpenVm open_{folder_.path(), "vm", true};
};

TEST_F(SegmentPolicyTest, IsReadAsTheVmHasIt)
{
    const terms::Policy policy = now();
    EXPECT_TRUE(policy.enabled);
    EXPECT_TRUE(policy.user);
    EXPECT_TRUE(policy.guest);
    EXPECT_FALSE(policy.idle);
    EXPECT_EQ(policy.isolated, (CpuSet{2, 66}));
    EXPECT_TRUE(policy.denied.empty());
    EXPECT_EQ(policy.max_age, 0ns);
}

TEST_F(SegmentPolicyTest, KillSwitchTakesEffectWithTheNextDecision)
{
    EXPECT_TRUE(vm_.send(0, kSyncCore, {2}).empty());
    change({.enabled = false});
    EXPECT_EQ(vm_.send(0, kSyncCore, {2}), (CpuSet{2}));
    change({.enabled = true});
    EXPECT_TRUE(vm_.send(0, kSyncCore, {2}).empty());
}

TEST_F(SegmentPolicyTest, EachFieldIsChangedAloneAndSeenByTheVm)
{
    change({.idle = true});
    EXPECT_EQ(ipidefer_contexts(vm_.vm()),
              std::uint32_t{IPIDEFER_CONTEXTS_ALL});
    change({.user = false});
    EXPECT_EQ(ipidefer_contexts(vm_.vm()),
              std::uint32_t{IPIDEFER_CONTEXT_GUEST | IPIDEFER_CONTEXT_IDLE});
    change({.isolated = CpuSet{64, 69}});
    EXPECT_FALSE(ipidefer_isolated(vm_.vm(), 2));
    EXPECT_TRUE(ipidefer_isolated(vm_.vm(), 64));
    EXPECT_TRUE(ipidefer_isolated(vm_.vm(), 69));
    change({.isolated = CpuSet{}});
    EXPECT_TRUE(now().isolated.empty());
    change({.vectors = {{kSyncCore, false}}});
    EXPECT_FALSE(ipidefer_vector_allowed(vm_.vm(), kSyncCore));
    EXPECT_TRUE(ipidefer_vector_allowed(vm_.vm(), 0xf4));
    change({.vectors = {{kSyncCore, true}}});
    EXPECT_TRUE(ipidefer_vector_allowed(vm_.vm(), kSyncCore));
    change({.max_age = 10ms});
    EXPECT_EQ(ipidefer_max_age(vm_.vm()), 10'000'000u);
}

TEST_F(SegmentPolicyTest, ChangesAreCountedAndNoChangeIsNone)
{
    const auto before = open_.policy().changes;
    EXPECT_TRUE(terms::PolicyChange{}.empty());
    change({});
    EXPECT_EQ(open_.policy().changes, before);
    change({.idle = true});
    EXPECT_EQ(open_.policy().changes, before + 1);
}

TEST_F(SegmentPolicyTest, DifferencesNameFieldsAndBothValues)
{
    const terms::Policy before = now();
    change({.enabled = false,
            .isolated = CpuSet{2, 3},
            .vectors = {{kSyncCore, false}},
            .max_age = 10ms});
    EXPECT_EQ(differences(before, now()),
              (std::vector<std::string>{
                  "enabled on -> off", "isolated 2,66 -> 2-3",
                  "denied none -> sync_core", "max_age none -> 10ms"}));
    EXPECT_TRUE(differences(before, before).empty());
}

}  // namespace
}  // namespace ipidefer::segment
