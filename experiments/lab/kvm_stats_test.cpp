// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/kvm_stats.hpp"

#include <gtest/gtest.h>

namespace ipidefer::lab {
namespace {

using nlohmann::json;

const json kCpus = json::parse(R"([
    {"cpu-index": 0, "qom-path": "/machine/a", "thread-id": 7},
    {"cpu-index": 2, "qom-path": "/machine/b", "thread-id": 8}])");

TEST(KvmStats, AreFoundByThePathOfTheVcpu)
{
    const auto stats = parse_kvm_stats(kCpus, json::parse(R"([
        {"provider": "kvm", "qom-path": "/machine/b", "stats": [
            {"name": "exits", "value": 12},
            {"name": "guest_mode", "value": false},
            {"name": "halt_wait_hist", "value": [1, 2]}]},
        {"provider": "kvm", "qom-path": "/machine/z", "stats": []}])"));
    EXPECT_EQ(stats, (KvmStats{{2, {{"exits", 12}}}}));
}

TEST(KvmStats, WithoutKvmThereAreNone)
{
    EXPECT_TRUE(parse_kvm_stats(kCpus, json::array()).empty());
}

TEST(KvmStats, AreComparedByName)
{
    const KvmStats before{{0, {{"exits", 5}, {"state", 9}}}};
    const KvmStats after{{0, {{"exits", 8}, {"state", 1}, {"irq_exits", 1}}},
                         {1, {{"exits", 1}}}};
    EXPECT_EQ(since(before, after), (KvmStats{{0, {{"exits", 3}}}}));
}

TEST(HostInterrupts, AreThoseOfTheCpuThatAVcpuIsPinnedToWithoutKicks)
{
    const auto host = parse_interrupts(
        "      CPU0  CPU1  CPU3\n"
        " 29:     1     2    30  PCI-MSIX-0000:00:02.0  1-edge  virtio1\n"
        "LOC:     4     8   100  Local timer interrupts\n"
        "RES:    16    32  5000  Rescheduling interrupts\n"
        "ERR:     7\n");
    EXPECT_EQ(host_interrupts(host, {2, 3}, {1, 3}),
              (HostInterrupts{{2, 10}, {3, 130}}));
    // Their order is the operator's.
    EXPECT_EQ(host_interrupts(host, {2, 3}, {3, 1}),
              (HostInterrupts{{2, 130}, {3, 10}}));
    EXPECT_EQ(host_interrupts(host, {2}, {9}), (HostInterrupts{{2, 0}}));
    EXPECT_EQ(host_interrupts(host, {2, 3}, {}), HostInterrupts{});
}

TEST(KvmStats, SomeCountExits)
{
    EXPECT_TRUE(counts_exits("exits"));
    EXPECT_TRUE(counts_exits("irq_exits"));
    EXPECT_FALSE(counts_exits("halt_wakeup"));
}

}  // namespace
}  // namespace ipidefer::lab
