// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

namespace ipidefer::lab {
namespace {

using Names = std::vector<std::string>;

Names names(const std::vector<PlannedBoot>& boots)
{
    Names names;
    for (const PlannedBoot& boot : boots) names.push_back(name(boot.arm));
    return names;
}

Names names(const std::vector<Arm>& arms)
{
    Names names;
    for (const Arm& arm : arms) names.push_back(name(arm));
    return names;
}

TEST(Plan, OneRunIsInTheOrderOfTheModes)
{
    const auto order = plan({Mode::kHv, Mode::kOff}, 1, 7);
    ASSERT_EQ(order.size(), 1u);
    EXPECT_EQ(names(order[0]), (Names{"hv", "off"}));
}

TEST(Plan, OffHasTwoArmsWhereItIsRepeated)
{
    EXPECT_EQ(names(arms_of({Mode::kOff, Mode::kGuest, Mode::kHv}, 2)),
              (Names{"off/A", "off/B", "guest", "hv"}));
    EXPECT_EQ(names(arms_of({Mode::kGuest, Mode::kHv}, 2)),
              (Names{"guest", "hv"}));
    EXPECT_EQ(file_name(Arm{Mode::kOff, 'B'}), "off-B");
    EXPECT_EQ(file_name(Arm{Mode::kHv}), "hv");
}

TEST(Plan, EachRepetitionHasEachArmOnce)
{
    const std::vector<Mode> modes{Mode::kOff, Mode::kGuest, Mode::kHv};
    const auto order = plan(modes, 50, 1);
    ASSERT_EQ(order.size(), 50u);
    std::set<Names> orders;
    std::set<std::string> first;
    for (const auto& repetition : order) {
        Names sorted = names(repetition);
        orders.insert(sorted);
        first.insert(sorted.front());
        std::ranges::sort(sorted);
        EXPECT_EQ(sorted, (Names{"guest", "hv", "off/A", "off/B"}));
    }
    // Of 24 orders most come; each arm is the first one at times.
    EXPECT_GT(orders.size(), 12u);
    EXPECT_EQ(first.size(), 4u);
}

TEST(Plan, EachRepetitionHasEachPointOfASweep)
{
    const auto order = plan({Mode::kOff, Mode::kHv}, 20, 1, 2);
    std::set<std::pair<std::size_t, std::string>> all;
    bool mixed = false;
    for (const auto& repetition : order) {
        ASSERT_EQ(repetition.size(), 6u);
        all.clear();
        for (const PlannedBoot& boot : repetition)
            all.emplace(boot.point, name(boot.arm));
        EXPECT_EQ(all.size(), 6u);
        // Points take turns as well, so that none has the warmer host.
        mixed = mixed || (repetition[0].point != repetition[1].point &&
                          repetition[1].point != repetition[2].point);
    }
    EXPECT_TRUE(mixed);
}

TEST(Plan, PointsOfOneRunAreInTheirOrder)
{
    const auto order = plan({Mode::kHv, Mode::kOff}, 1, 7, 2);
    ASSERT_EQ(order.size(), 1u);
    EXPECT_EQ(names(order[0]), (Names{"hv", "off", "hv", "off"}));
    EXPECT_EQ(order[0][1].point, 0u);
    EXPECT_EQ(order[0][2].point, 1u);
}

TEST(Plan, SeedGivesTheOrder)
{
    const std::vector<Mode> modes{Mode::kOff, Mode::kGuest, Mode::kHv};
    EXPECT_EQ(plan(modes, 20, 5), plan(modes, 20, 5));
    EXPECT_NE(plan(modes, 20, 5), plan(modes, 20, 6));
    // More repetitions begin like fewer.
    const auto more = plan(modes, 30, 5);
    EXPECT_TRUE(std::ranges::equal(
        plan(modes, 20, 5), std::vector(more.begin(), more.begin() + 20)));
    // Reports name the seed, so it means the same everywhere.
    EXPECT_EQ(names(plan({Mode::kOff, Mode::kHv}, 2, 1)[0]),
              (Names{"off/B", "off/A", "hv"}));
}

}  // namespace
}  // namespace ipidefer::lab
