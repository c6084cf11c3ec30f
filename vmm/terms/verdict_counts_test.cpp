// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/verdict_counts.hpp"

#include <gtest/gtest.h>

namespace ipidefer::terms {
namespace {

VerdictCounts one_of_each()
{
    ipidefer_counters counters{};
    for (const ipidefer_verdict verdict : kCountedVerdicts)
        counters.verdict[verdict] = 1;
    return {counters, 3};
}

TEST(VerdictCounts, EachVerdictIsRecordedOrDelivered)
{
    const VerdictCounts counts = one_of_each();
    EXPECT_EQ(counts.recorded(), 2u);
    EXPECT_EQ(counts.delivered(), kCountedVerdicts.size() - 2);
    EXPECT_EQ(counts.sum(), kCountedVerdicts.size());
    EXPECT_EQ(counts.max_age, 3u);
    EXPECT_EQ(counts[IPIDEFER_PASSED], 0u);
}

TEST(VerdictCounts, DifferenceIsNeverNegative)
{
    VerdictCounts more = one_of_each();
    more += one_of_each();
    EXPECT_EQ(more - one_of_each(), one_of_each());
    // It was 2^64 - 1 in `stat --interval` when a VMM had started anew.
    EXPECT_EQ(one_of_each() - more, VerdictCounts{});
}

}  // namespace
}  // namespace ipidefer::terms
