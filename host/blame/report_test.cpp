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

TEST(BlameTable, StacksAreBelowTheirCauseTheMostFrequentFirst)
{
    Blame blame = some();
    const std::pair<unsigned, Cause> call{
        2, {Cause::Kind::kCall, "do_sync_core by insmod"}};
    blame.tallies[call].away_ns.add(1);
    blame.tallies[call].stacks = {{{"smp_call", "a"}, 1},
                                  {{"smp_call", "b"}, 7}};
    std::string text = table(blame);
    const auto most = text.find("    7 from smp_call < b\n");
    const auto least = text.find("    1 from smp_call < a\n");
    ASSERT_NE(most, std::string::npos) << text;
    ASSERT_NE(least, std::string::npos) << text;
    EXPECT_LT(text.find("do_sync_core by insmod"), most);
    EXPECT_LT(most, least);

    for (const char* const more : {"c", "d", "e", "f"})
        blame.tallies[call].stacks[{"smp_call", more}] = 2;
    text = table(blame);
    EXPECT_NE(text.find("    1 from 1 other stacks"), std::string::npos)
        << text;
}

TEST(BlameTable, VcpusTogether)
{
    Blame blame = some();
    blame.tallies[{3, {Cause::Kind::kTimer, "tick_nohz_handler"}}].also = 2;
    blame = as_one(blame);
    const std::string text = table(blame);
    EXPECT_NE(text.find("all vCPUs"), std::string::npos) << text;
    EXPECT_EQ(text.find("\nvCPU "), std::string::npos) << text;
    const auto json = to_json(blame);
    EXPECT_EQ(json.at("vcpus").size(), 1U);
    EXPECT_EQ(json.at("vcpus").at(0).at("vcpu"), "all");
}

TEST(BlameRemedies, AreThoseOfTheCausesThatWereSeen)
{
    const std::string text = remedies(some());
    EXPECT_TRUE(text.starts_with("What to do:\n  guest-ipi ")) << text;
    EXPECT_NE(text.find("\n  host-timer "), std::string::npos) << text;
    EXPECT_NE(text.find("(ipidefer check: nohz_full"), std::string::npos)
        << text;
    EXPECT_EQ(text.find("scheduler"), std::string::npos) << text;
    EXPECT_EQ(remedies({}), "");
}

TEST(BlameJson, HasRemediesAndStacks)
{
    Blame blame = some();
    const std::pair<unsigned, Cause> call{
        3, {Cause::Kind::kCall, "do_sync_core by insmod"}};
    blame.tallies[call].stacks = {{{"smp_call", "a"}, 1},
                                  {{"smp_call", "b"}, 7}};
    blame.tallies[{4, {Cause::Kind::kUnknown, "interrupt"}}].also = 1;
    const auto json = to_json(blame).at("vcpus");
    const auto& tick = json.at(0).at("causes").at(1);
    EXPECT_EQ(tick.at("checks").at(0), "nohz_full");
    EXPECT_TRUE(tick.at("remedy").is_string());
    EXPECT_FALSE(tick.contains("stacks"));
    const auto& stacks = json.at(1).at("causes").at(0).at("stacks");
    EXPECT_EQ(stacks.at(0).at("count"), 7);
    EXPECT_EQ(stacks.at(0).at("functions").at(1), "b");
    const auto& unknown = json.at(2).at("causes").at(0);
    EXPECT_TRUE(unknown.at("remedy").is_null());
    EXPECT_TRUE(unknown.at("why_none").is_string());
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
