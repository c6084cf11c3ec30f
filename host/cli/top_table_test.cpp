// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/top_table.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include <nlohmann/json.hpp>

namespace ipidefer::cli {
namespace {

using segment::VmStatus;
using namespace std::chrono_literals;

VmStatus vm_with(std::uint64_t deferred_of_1, std::uint64_t in_kernel_of_0)
{
    VmStatus vm;
    vm.name = "web";
    vm.pid = 7;
    vm.vcpus.resize(2);
    vm.vcpus[1].vcpu = 1;
    vm.vcpus[1].isolated = true;
    vm.vcpus[1].context = "user";
    vm.vcpus[1].oldest_pending = 1500us;
    vm.vcpus[1].by_vector[0xf5][IPIDEFER_DEFERRED] = deferred_of_1;
    vm.vcpus[0].by_vector[0xf5][IPIDEFER_DELIVERED_IN_KERNEL] = in_kernel_of_0;
    return vm;
}

TEST(TopTable, RatesAreOfTheTimeBetweenAndTheBusiestComesFirst)
{
    const TopTable table{{vm_with(100, 10)}, {vm_with(150, 14)}, 2s};
    const auto rows = table.json(false);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0]["vcpu"], 1);
    EXPECT_EQ(rows[0]["sent_per_second"], 25.0);
    EXPECT_EQ(rows[0]["deferred_per_second"], 25.0);
    EXPECT_EQ(rows[0]["delivered_per_second"], 0.0);
    EXPECT_EQ(rows[0]["oldest_pending_ns"], 1'500'000);
    EXPECT_EQ(rows[1]["delivered_per_second"], 2.0);
    EXPECT_EQ(rows[1]["oldest_pending_ns"], nullptr);
}

TEST(TopTable, RestartedVmCountsFromZero)
{
    VmStatus restarted = vm_with(6, 0);
    restarted.id = "web~2";
    const TopTable table{{vm_with(100, 0)}, {restarted}, 1s};
    EXPECT_EQ(table.json(false)[0]["sent_per_second"], 6.0);
}

TEST(TopTable, OthersCanBeLeftOut)
{
    const TopTable table{{}, {vm_with(1, 1)}, 1s};
    EXPECT_EQ(table.json(true).size(), 1u);
    EXPECT_EQ(table.lines(true).size(), 2u);
    EXPECT_EQ(table.lines(false).size(), 3u);
}

TEST(TopTable, LongNamesAreCutToTheirColumn)
{
    VmStatus vm = vm_with(1, 1);
    vm.name = std::string(500, 'n');
    for (const std::string& line : TopTable{{}, {vm}, 1s}.lines(false))
        EXPECT_LT(line.size(), 160u);
}

}  // namespace
}  // namespace ipidefer::cli
