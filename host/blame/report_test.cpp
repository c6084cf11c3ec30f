// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/report.hpp"

#include <gtest/gtest.h>

namespace ipidefer::blame {
namespace {

Blame some()
{
    Blame blame;
    blame.pid = 77;
    blame.seconds = 2;
    blame.events = 12;
    const std::pair<unsigned, Cause> ipi{
        2, {Cause::Kind::kGuestIpi, "vector 0xfb by vCPU 0"}};
    const std::pair<unsigned, Cause> tick{
        2, {Cause::Kind::kTimer, "tick_nohz_handler"}};
    for (const std::uint64_t ns : {10'000, 20'000, 30'000})
        blame.tallies[ipi].away_ns.add(ns);
    blame.tallies[tick].away_ns.add(5'000);
    blame.tallies[tick].also = 4;
    return blame;
}

TEST(BlameTable, MostFrequentCauseFirstAndSumsAbove)
{
    const std::string text = table(some());
    EXPECT_NE(text.find("vCPU 2"), std::string::npos) << text;
    const auto ipi = text.find("guest-ipi: vector 0xfb by vCPU 0");
    const auto tick = text.find("host-timer: tick_nohz_handler");
    ASSERT_NE(ipi, std::string::npos);
    ASSERT_NE(tick, std::string::npos);
    EXPECT_LT(ipi, tick);
    EXPECT_EQ(text.find("lost: there"), std::string::npos);
}

TEST(BlameTable, SaysWhatIsNotInIt)
{
    Blame blame = some();
    blame.lost = 3;
    blame.open = {2};
    blame.missing = {"csd/csd_queue_cpu"};
    const std::string text = table(blame);
    EXPECT_NE(text.find("3 lost"), std::string::npos) << text;
    EXPECT_NE(text.find("more exits than are counted"), std::string::npos);
    EXPECT_NE(text.find("the last exit of vCPU 2"), std::string::npos);
    EXPECT_NE(text.find("no event csd/csd_queue_cpu"), std::string::npos);
}

TEST(BlameJson, HasUnitsAndSums)
{
    const auto json = to_json(some());
    EXPECT_EQ(json.at("vcpus").at(0).at("exits"), 4);
    const auto& first = json.at("vcpus").at(0).at("causes").at(0);
    EXPECT_EQ(first.at("kind"), "guest-ipi");
    EXPECT_EQ(first.at("exits"), 3);
    EXPECT_EQ(first.at("away_ns"), 60'000);
    EXPECT_EQ(first.at("longest_ns"), 30'000);
}

}  // namespace
}  // namespace ipidefer::blame
