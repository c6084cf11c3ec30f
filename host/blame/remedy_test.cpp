// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/remedy.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ipidefer::blame {
namespace {

using Kind = Cause::Kind;

TEST(BlameRemedy, EveryCauseHasOneOrSaysWhyThereIsNone)
{
    std::set<std::string_view> texts;
    for (int kind = 0; kind <= static_cast<int>(Kind::kUnknown); ++kind) {
        const Remedy& found = remedy(static_cast<Kind>(kind));
        const std::string_view who = name(static_cast<Kind>(kind));
        // The last one's stands for what has no name, too.
        EXPECT_EQ(found.none, who == "unknown") << who;
        EXPECT_GT(found.text.size(), 20U) << who;
        EXPECT_FALSE(found.text.ends_with('.')) << who;
        EXPECT_TRUE(texts.insert(found.text).second) << who;
    }
}

TEST(BlameRemedy, ChecksKnowTheirCauses)
{
    EXPECT_EQ(causes_of_check("nohz_full"), std::vector{Kind::kTimer});
    EXPECT_EQ(causes_of_check("isolcpus"),
              (std::vector{Kind::kCall, Kind::kReschedule, Kind::kScheduler}));
    EXPECT_TRUE(causes_of_check("tsc").empty());
}

}  // namespace
}  // namespace ipidefer::blame
