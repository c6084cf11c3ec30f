// SPDX-License-Identifier: GPL-2.0-or-later
#include "counters.hpp"

#include <gtest/gtest.h>

namespace ipidefer {
namespace {

TEST(Counters, NothingCountedReadsAsZeroes)
{
    const Counters counters{2};
    ASSERT_TRUE(counters.allocated());
    ipidefer_counters out;
    out.verdict[IPIDEFER_DEFERRED] = 7;
    EXPECT_FALSE(counters.get(1, 0, out));
    for (const std::uint64_t n : out.verdict) EXPECT_EQ(n, 0u);
}

TEST(Counters, EveryCellIsSeparate)
{
    Counters counters{3};
    std::uint64_t n = 0;
    for (std::uint32_t row = 0; row < 3; ++row)
        for (unsigned typed = 0; typed < IPIDEFER_MAX_TYPED; ++typed)
            for (unsigned v = 1; v < IPIDEFER_VERDICTS; ++v) {
                ++n;
                for (std::uint64_t i = 0; i < n; ++i)
                    counters.count(row, typed,
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

}  // namespace
}  // namespace ipidefer
