// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/status.hpp"

#include <gtest/gtest.h>

#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::segment {
namespace {

using test::kKernelTlbi;
using test::kSyncCore;

class StatusTest : public ::testing::Test {
  protected:
    VmStatus now() { return read_status(open_, read_tsc()); }

    shm::test::TemporaryFolder folder_;
    test::TestVm vm_{folder_.path(), "vm"};
    OpenVm open_{folder_.path(), "vm"};
};

TEST_F(StatusTest, CountsAreByVcpuAndVector)
{
    vm_.send(0, kSyncCore, {1, 2, 3});
    vm_.send(0, kSyncCore, {2});
    vm_.send(0, kKernelTlbi, {2});
    const VmStatus status = now();
    EXPECT_EQ(status.life, Life::kRuns);
    EXPECT_EQ(status.producer, "test VMM");
    ASSERT_EQ(status.vcpus.size(), 4u);
    const auto& two = status.vcpus[2].by_vector;
    EXPECT_EQ(two.at(kSyncCore)[IPIDEFER_DEFERRED], 1u);
    EXPECT_EQ(two.at(kSyncCore)[IPIDEFER_COALESCED], 1u);
    EXPECT_EQ(two.at(kKernelTlbi)[IPIDEFER_DEFERRED], 1u);
    EXPECT_EQ(status.vcpus[1].total()[IPIDEFER_DELIVERED_NOT_ISOLATED], 1u);
    EXPECT_TRUE(status.vcpus[0].by_vector.empty());
    EXPECT_EQ(status.total().sum(), 5u);
}

TEST_F(StatusTest, TargetsThatDoNotExistAreApart)
{
    (void)ipidefer_decide(vm_.vm(), 99, kSyncCore);
    EXPECT_EQ(now().out_of_range.at(kSyncCore)[IPIDEFER_DELIVERED_NOT_BOUND],
              1u);
}

TEST_F(StatusTest, AgeIsThatOfTheOldestWork)
{
    EXPECT_FALSE(now().oldest_pending());
    vm_.send(0, kSyncCore, {3});
    vm_.tick(read_tsc());
    const auto first = now().oldest_pending();
    ASSERT_TRUE(first);
    vm_.send(0, kSyncCore, {2});
    vm_.tick(read_tsc());
    const VmStatus later = now();
    ASSERT_TRUE(later.oldest_pending());
    EXPECT_GE(*later.oldest_pending(), *first);
    EXPECT_LE(later.vcpus[2].oldest_pending, later.vcpus[3].oldest_pending);
    vm_.enter(3, test::TestVm::State::kUser);
    vm_.enter(2, test::TestVm::State::kUser);
    vm_.tick(read_tsc());
    EXPECT_FALSE(now().oldest_pending());
}

TEST_F(StatusTest, ContextIsAsLastSeen)
{
    EXPECT_EQ(now().vcpus[2].context, "unknown");
    vm_.tick(read_tsc());
    EXPECT_EQ(now().vcpus[0].context, "kernel");
    EXPECT_EQ(now().vcpus[2].context, "user");
    vm_.enter(2, test::TestVm::State::kIdle);
    vm_.tick(read_tsc());
    EXPECT_EQ(now().vcpus[2].context, "idle");
}

}  // namespace
}  // namespace ipidefer::segment
