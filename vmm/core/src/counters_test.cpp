// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/counters.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ipidefer {
namespace {

using Lines = std::vector<ipidefer_segment_counters>;

TEST(Counters, NothingCountedReadsAsZeroes)
{
    Lines lines(2 * IPIDEFER_MAX_TYPED);
    const Counters counters{lines.data(), 2};
    ipidefer_counters out;
    out.verdict[IPIDEFER_DEFERRED] = 7;
    EXPECT_FALSE(counters.get(1, 0, out));
    for (const std::uint64_t n : out.verdict) EXPECT_EQ(n, 0u);
}

TEST(Counters, EveryCellIsSeparate)
{
    Lines lines(3 * IPIDEFER_MAX_TYPED);
    const Counters counters{lines.data(), 3};
    std::uint64_t n = 0;
    for (std::uint32_t row = 0; row < 3; ++row)
        for (unsigned typed = 0; typed < IPIDEFER_MAX_TYPED; ++typed)
            for (unsigned v = 1; v < IPIDEFER_VERDICTS; ++v) {
                ++n;
                for (std::uint64_t i = 0; i < n; ++i)
                    Counters::count(counters.line(row, typed),
                                    static_cast<ipidefer_verdict>(v));
            }
    n = 0;
    for (std::uint32_t row = 0; row < 3; ++row)
        for (unsigned typed = 0; typed < IPIDEFER_MAX_TYPED; ++typed) {
            ipidefer_counters out;
            EXPECT_TRUE(counters.get(row, typed, out));
            EXPECT_EQ(out.verdict[IPIDEFER_PASSED], 0u);
            for (unsigned v = 1; v < IPIDEFER_VERDICTS; ++v)
                EXPECT_EQ(out.verdict[v], ++n);
        }
}

TEST(Counters, ExpiredIsNoVerdict)
{
    Lines lines(2 * IPIDEFER_MAX_TYPED);
    const Counters counters{lines.data(), 2};
    Counters::count_expired(counters.line(1, 3));
    ipidefer_counters out;
    EXPECT_FALSE(counters.get(1, 3, out));
    EXPECT_EQ(counters.expired(1, 3), 1u);
    EXPECT_EQ(counters.expired(0, 3), 0u);
}

}  // namespace
}  // namespace ipidefer
