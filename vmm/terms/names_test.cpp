// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/names.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include <set>
#include <string>

namespace ipidefer::terms {
namespace {

TEST(Verdicts, EveryOneSplitsIntoItsWords)
{
    std::set<std::string> all;
    for (unsigned v = 0; v < IPIDEFER_VERDICTS; ++v) {
        const auto [verdict, reason] = verdict_words(v);
        EXPECT_EQ(verdict == "delivered", !reason.empty());
        all.insert(std::string{verdict} + ' ' + std::string{reason});
    }
    EXPECT_EQ(all.size(), std::size_t{IPIDEFER_VERDICTS});
    EXPECT_TRUE(all.contains("delivered in-kernel"));
    EXPECT_TRUE(all.contains("deferred "));
    EXPECT_EQ(verdict_words(IPIDEFER_TRACE_MAX_AGE).reason, "max-age");
}

TEST(Verdicts, NumbersWithoutANameAreQuestionMarks)
{
    EXPECT_EQ(verdict_words(IPIDEFER_VERDICTS).verdict, "?");
    EXPECT_EQ(verdict_words(255).verdict, "?");
    EXPECT_EQ(context_name(5), "?");
    EXPECT_EQ(delivery_name(8), "?");
    EXPECT_EQ(shorthand_name(4), "?");
}

TEST(Verdicts, NamesFollowTheirEnumerations)
{
    EXPECT_EQ(context_name(IPIDEFER_TRACE_IDLE), "idle");
    EXPECT_EQ(delivery_name(IPIDEFER_NMI), "nmi");
    EXPECT_EQ(delivery_name(IPIDEFER_EXTINT), "extint");
    EXPECT_EQ(shorthand_name(IPIDEFER_ALL_BUT_SELF), "all-but-self");
}

}  // namespace
}  // namespace ipidefer::terms
