// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/tally.hpp"

#include <gtest/gtest.h>

namespace ipidefer::blame {
namespace {

const Cause kCall{Cause::Kind::kCall, "do_sync_core by insmod"};
const Cause kTick{Cause::Kind::kTimer, "tick_nohz_handler"};
const Stack kPatching{"smp_call_function_many_cond", "text_poke_sync"};
const Stack kFlush{"smp_call_function_many_cond", "flush_tlb_all"};

TEST(Tally, PartsAddUp)
{
    Tallies sum;
    Tallies part;
    part[{2, kCall}].away_ns.add(100);
    part[{2, kCall}].stacks[kPatching] = 1;
    add(sum, part);
    part[{2, kCall}].also = 3;
    part[{2, kCall}].stacks[kFlush] = 3;
    part[{3, kTick}].away_ns.add(7);
    add(sum, part);
    EXPECT_EQ(sum.size(), 2U);
    const Tally& call = sum.at({2, kCall});
    EXPECT_EQ(call.away_ns.count(), 2U);
    EXPECT_EQ(call.away_ns.sum(), 200U);
    EXPECT_EQ(call.also, 3U);
    EXPECT_EQ(call.stacks.at(kPatching), 2U);
    EXPECT_EQ(call.stacks.at(kFlush), 3U);
}

TEST(Tally, VcpusTogetherAreOne)
{
    Tallies some;
    some[{2, kTick}].away_ns.add(10);
    some[{3, kTick}].away_ns.add(30);
    some[{3, kCall}].also = 1;
    const Tallies all = together(some);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all.at({0, kTick}).away_ns.sum(), 40U);
    EXPECT_EQ(all.at({0, kCall}).also, 1U);
}

TEST(Tally, MostFrequentStackIsFirst)
{
    const std::map<Stack, std::uint64_t> stacks{
        {kFlush, 2}, {kPatching, 5}, {{"a"}, 2}};
    const auto sorted = by_count(stacks);
    ASSERT_EQ(sorted.size(), 3U);
    EXPECT_EQ(*sorted[0].first, kPatching);
    EXPECT_EQ(sorted[0].second, 5U);
    EXPECT_EQ(*sorted[1].first, Stack{"a"});
    EXPECT_EQ(*sorted[2].first, kFlush);
}

}  // namespace
}  // namespace ipidefer::blame
