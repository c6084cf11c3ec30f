// SPDX-License-Identifier: GPL-2.0-or-later
// The schema of docs/LAB.md, member by member: whoever adds, renames or drops
// one changes this test and the document with it.
#include "experiments/lab/report_json.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/file.hpp"
#include "experiments/lab/lab_testing.hpp"
#include "experiments/lab/provenance.hpp"

namespace ipidefer::lab {
namespace {

using Json = nlohmann::ordered_json;
using Keys = std::set<std::string>;

Keys keys(const Json& object)
{
    Keys names;
    for (const auto& [key, value] : object.items()) names.insert(key);
    return names;
}

Report good_report()
{
    Report report;
    for (const Mode mode : kModes) {
        report.runs.push_back(test::good_result(mode));
        Guest guest;
        guest.mode = mode;
        report.guests.push_back(guest);
    }
    report.provenance = {{"ipidefer", "1"}};
    return report;
}

TEST(ReportJson, TopLevel)
{
    const Json json = to_json(good_report());
    EXPECT_EQ(keys(json),
              (Keys{"schema", "runs", "given_up", "starved", "repetitions",
                    "sweep", "statistics", "provenance"}));
    EXPECT_TRUE(json["sweep"].is_null());
    EXPECT_TRUE(json["statistics"].is_null());
    EXPECT_TRUE(json["repetitions"].is_null());
    EXPECT_EQ(json["schema"], "ipidefer-lab/1");
    EXPECT_EQ(json["runs"].size(), 4u);
    EXPECT_TRUE(json["given_up"].is_null());
}

TEST(ReportJson, Starved)
{
    Report report = good_report();
    EXPECT_EQ(to_json(report)["starved"], Json::array());
    report.starved.push_back({Mode::kGuest, "vCPU 2",
                              std::chrono::milliseconds{5500}, "a stall",
                              true});
    const Json starved = to_json(report)["starved"][0];
    EXPECT_EQ(starved, (Json{{"mode", "guest"},
                             {"arm", "guest"},
                             {"repetition", 1},
                             {"factors", Json::object()},
                             {"thread", "vCPU 2"},
                             {"milliseconds", 5500},
                             {"reason", "a stall"},
                             {"retried", true}}));
}

TEST(ReportJson, RepetitionsKeepTheirOrder)
{
    Report report = good_report();
    report.repetitions = Repetitions{
        42,
        arms_of({Mode::kOff, Mode::kHv}, 2),
        {{{0, {Mode::kOff, 'B'}}, {0, {Mode::kHv}}, {0, {Mode::kOff, 'A'}}},
         {{0, {Mode::kHv}}, {0, {Mode::kOff, 'A'}}, {0, {Mode::kOff, 'B'}}}}};
    report.runs[0].turn = {2, 'B'};
    const Json json = to_json(report);
    EXPECT_EQ(json["repetitions"],
              (Json{{"count", 2},
                    {"seed", 42},
                    {"order",
                     {{"off/B", "hv", "off/A"}, {"hv", "off/A", "off/B"}}}}));
    EXPECT_EQ(json["runs"][0]["mode"], "off");
    EXPECT_EQ(json["runs"][0]["arm"], "off/B");
    EXPECT_EQ(json["runs"][0]["repetition"], 2);
    EXPECT_EQ(json["runs"][1]["arm"], "guest");
    EXPECT_EQ(json["runs"][1]["repetition"], 1);
}

/// off has one more call in each repetition, hv has none.
Report repeated_report()
{
    constexpr unsigned kRepetitions = 6;
    Report report;
    const std::vector<Mode> modes{Mode::kOff, Mode::kHv};
    report.repetitions = Repetitions{42, arms_of(modes, kRepetitions),
                                     plan(modes, kRepetitions, 42)};
    for (unsigned i = 0; i < kRepetitions; ++i)
        for (const Arm& arm : report.repetitions->arms) {
            Run run = test::good_result(arm.mode);
            run.turn = {i + 1, arm.letter};
            if (arm.mode == Mode::kOff) run.interrupts["CAL"] = 20 + i;
            report.runs.push_back(std::move(run));
        }
    report.provenance = {{"ipidefer", "1"}};
    return report;
}

Json row_of(const Json& statistics, const std::string& kind,
            const std::string& row)
{
    for (const Json& one : statistics["rows"])
        if (one["kind"] == kind && one["row"] == row) return one;
    return nullptr;
}

TEST(ReportJson, SweepsHaveTheirFactors)
{
    Report report = good_report();
    report.sweep = {{{"cpus", "4"}, {"pti", "on"}},
                    {{"cpus", "8"}, {"pti", "on"}}};
    report.runs[2].turn.factors = report.sweep[1];
    const Json json = to_json(report);
    ASSERT_EQ(json["sweep"].size(), 2u);
    EXPECT_EQ(json["sweep"][1], Json({{"cpus", "8"}, {"pti", "on"}}));
    EXPECT_EQ(json["runs"][2]["factors"], Json({{"cpus", "8"}, {"pti", "on"}}));
    EXPECT_EQ(json["runs"][1]["factors"], Json::object());
    report.provenance = provenance(Options{}, {"ipidefer"});
    const auto read = report::read_report("x", to_json(report).dump());
    EXPECT_EQ(read.runs[2].workload, "mixed, cpus=8, pti=on");
    EXPECT_EQ(read.runs[2].script, "mixed");
}

TEST(ReportJson, OrderOfASweepNamesItsPoints)
{
    Report report = repeated_report();
    report.sweep = {{{"cpus", "4"}}, {{"cpus", "8"}}};
    report.repetitions->order = {
        std::vector<PlannedBoot>{{1, {Mode::kHv}}, {0, {Mode::kOff, 'A'}}}};
    const Json order = to_json(report)["repetitions"]["order"];
    ASSERT_EQ(order.size(), 1u);
    ASSERT_EQ(order[0].size(), 2u);
    EXPECT_EQ(order[0][0], "hv, cpus=8");
    EXPECT_EQ(order[0][1], "off/A, cpus=4");
}

/// Points of a sweep are not repetitions of each other.
TEST(ReportJson, EachPointHasItsStatistics)
{
    Report report = repeated_report();
    report.sweep = {{{"cpus", "4"}}, {{"cpus", "8"}}};
    const auto runs = report.runs;
    for (auto& run : report.runs) run.turn.factors = report.sweep[0];
    for (auto run : runs) {
        run.turn.factors = report.sweep[1];
        if (run.mode == Mode::kOff) run.interrupts["CAL"] = 50;
        report.runs.push_back(run);
    }
    const Json statistics = to_json(report, repeated_of(report))["statistics"];
    ASSERT_EQ(statistics.size(), 2u);
    EXPECT_EQ(statistics[1]["workload"], "mixed");
    EXPECT_EQ(statistics[1]["factors"], Json({{"cpus", "8"}}));
    const Json calls = row_of(statistics[1], "interrupt", "CAL");
    EXPECT_EQ(calls["medians"][0]["runs"], 6);
    EXPECT_EQ(calls["medians"][0]["median"], 50);
}

TEST(ReportJson, StatisticsAreThoseOfTheTable)
{
    const Report report = repeated_report();
    const Json statistics =
        to_json(report, repeated_of(report))["statistics"][0];
    EXPECT_EQ(statistics["workload"], "mixed");
    EXPECT_EQ(statistics["base"], "off/A");
    const Json calls = row_of(statistics, "interrupt", "CAL");
    EXPECT_EQ(calls["unit"], "count");
    EXPECT_EQ(calls["medians"][0], (Json{{"arm", "off/A"},
                                         {"runs", 6},
                                         {"lower_quartile", 21.25},
                                         {"median", 22.5},
                                         {"upper_quartile", 23.75}}));
    ASSERT_EQ(calls["differences"].size(), 2u);
    EXPECT_EQ(calls["differences"][0]["arm"], "off/B");
    EXPECT_EQ(calls["differences"][0]["verdict"], "no difference seen");
    const Json& hv = calls["differences"][1];
    EXPECT_EQ(hv["arm"], "hv");
    EXPECT_EQ(hv["pairs"], 6);
    EXPECT_EQ(hv["median"], -22.5);
    EXPECT_EQ(hv["p"], 0.03125);
    EXPECT_EQ(hv["p_sign"], 0.03125);
    EXPECT_EQ(hv["verdict"], "less");
    ASSERT_EQ(hv["interval"].size(), 2u);
    EXPECT_LT(hv["interval"][0], -22.5);
    EXPECT_GT(hv["interval"][1], -22.5);
    EXPECT_EQ(row_of(statistics, "interrupt", "total")["differences"][1],
              calls["differences"][1]);
    EXPECT_EQ(row_of(statistics, "longest_gap", "vCPU 2")["unit"], "ms");
}

TEST(ReportJson, WhatAnArmCannotHaveIsNotAmongItsStatistics)
{
    const Report report = repeated_report();
    const Json deferred =
        row_of(to_json(report, repeated_of(report))["statistics"][0], "verdict",
               "0xf5 deferred");
    ASSERT_EQ(deferred["medians"].size(), 1u);
    EXPECT_EQ(deferred["medians"][0]["arm"], "hv");
    EXPECT_EQ(deferred["differences"], Json::array());
}

TEST(ReportJson, WithoutOffThereIsNoBase)
{
    Report report = repeated_report();
    std::erase_if(report.runs,
                  [](const lab::Run& run) { return run.mode == Mode::kOff; });
    report.repetitions->arms = {{Mode::kHv}};
    const Json json = to_json(report, repeated_of(report));
    EXPECT_TRUE(json["statistics"][0]["base"].is_null());
    EXPECT_EQ(
        row_of(json["statistics"][0], "interrupt", "total")["differences"],
        Json::array());
}

TEST(ReportJson, Run)
{
    const Json run = to_json(good_report())["runs"][2];
    EXPECT_EQ(keys(run),
              (Keys{"mode", "arm", "repetition", "factors", "workload",
                    "isolated", "milliseconds", "guest", "nested", "kvm",
                    "host_interrupts", "vmm", "agree", "disagreements"}));
    EXPECT_EQ(run["mode"], "hv");
    EXPECT_EQ(run["workload"], "mixed");
    EXPECT_EQ(run["isolated"], Json({2, 3}));
    EXPECT_EQ(run["milliseconds"], 1234);
    EXPECT_EQ(run["agree"], true);
    EXPECT_EQ(run["disagreements"], Json::array());
}

TEST(ReportJson, Guest)
{
    const Json guest = to_json(good_report())["runs"][2]["guest"];
    EXPECT_EQ(keys(guest),
              (Keys{"mode", "events", "interrupts", "resent", "loop"}));
    EXPECT_EQ(guest["mode"], "hv");
    EXPECT_EQ(guest["events"], Json({{"typed:sync_core", 20}}));
    EXPECT_EQ(guest["interrupts"]["DSC"], 0);
    EXPECT_EQ(guest["resent"], 0);
    EXPECT_EQ(keys(guest["loop"]), (Keys{"2", "3"}));
    EXPECT_EQ(guest["loop"]["2"],
              Json({{"interruptions", 5},
                    {"longest_gap_cycles", 2600},
                    {"longest_gap_ns", 1000},
                    {"gaps_ns", {{"90", 70'000}, {"1000", 1}}},
                    {"listed_gaps",
                     {{"start_ns", Json::array()},
                      {"length_ns", Json::array()},
                      {"cause", Json::array()},
                      {"left_out", 0}}}}));
}

TEST(ReportJson, ListedGapsAreColumns)
{
    Report report = good_report();
    LoopReport& loop = report.runs[2].loops[2];
    loop.listed = {{500, 20'000, "local_timer"}, {900, 30'000, "unknown"}};
    loop.left_out = 3;
    const Json json = to_json(report);
    EXPECT_EQ(json["runs"][2]["guest"]["loop"]["2"]["listed_gaps"],
              Json({{"start_ns", {500, 900}},
                    {"length_ns", {20'000, 30'000}},
                    {"cause", {"local_timer", "unknown"}},
                    {"left_out", 3}}));
}

TEST(ReportJson, Verdicts)
{
    const Json json = to_json(good_report());
    EXPECT_TRUE(json["runs"][0]["vmm"].is_null());
    const Json verdicts = json["runs"][2]["vmm"]["verdicts"]["0xf5"];
    EXPECT_EQ(keys(verdicts), (Keys{"deferred", "coalesced", "delivered"}));
    EXPECT_EQ(verdicts["deferred"], 2);
    EXPECT_EQ(verdicts["coalesced"], 18);
    EXPECT_EQ(keys(verdicts["delivered"]),
              (Keys{"in-kernel", "not-isolated", "not-bound", "policy",
                    "bad-word", "contended"}));
}

TEST(ReportJson, WhatWasSentAgainAndWhetherTheVmmSawIt)
{
    Report report = good_report();
    EXPECT_EQ(to_json(report)["runs"][2]["vmm"]["icr"], true);
    auto at = test::good_run(Mode::kHv);
    at.a.resent = 3;
    at.b.resent = 5;
    for (Snapshot* snapshot : {&at.a, &at.b, &at.c}) snapshot->sees_icr = false;
    report.runs[2] = evaluate(Mode::kHv, "mixed", test::kIsolated, at);
    const Json run = to_json(report)["runs"][2];
    EXPECT_EQ(run["guest"]["resent"], 2);
    EXPECT_EQ(run["vmm"]["icr"], false);
}

TEST(ReportJson, HostInterruptsAreThoseOfTheRun)
{
    Report report = good_report();
    EXPECT_TRUE(to_json(report)["runs"][2]["host_interrupts"].is_null());
    auto at = test::good_run(Mode::kHv);
    at.a.host_interrupts = {{2, 100}, {3, 7}};
    at.b.host_interrupts = {{2, 105}, {3, 7}};
    report.runs[2] = evaluate(Mode::kHv, "mixed", test::kIsolated, at);
    EXPECT_EQ(to_json(report)["runs"][2]["host_interrupts"],
              Json({{"2", 5}, {"3", 0}}));
}

TEST(ReportJson, MergedIsNullWhereNobodyCounts)
{
    Report report = good_report();
    EXPECT_TRUE(to_json(report)["runs"][2]["vmm"]["merged"].is_null());
    auto at = test::good_run(Mode::kHv);
    for (const unsigned cpu : test::kIsolated) {
        at.a.vmm->at(cpu).merged[test::kVector] = 5;
        at.b.vmm->at(cpu).merged[test::kVector] = 5 + cpu;
    }
    report.runs[2] = evaluate(Mode::kHv, "mixed", test::kIsolated, at);
    EXPECT_EQ(to_json(report)["runs"][2]["vmm"]["merged"],
              Json({{"0xf5", 2 + 3}}));
}

TEST(ReportJson, DisagreementIsToldTwice)
{
    Report report = good_report();
    report.runs[1].disagreements = {"vCPU 2: no"};
    const Json run = to_json(report)["runs"][1];
    EXPECT_EQ(run["agree"], false);
    EXPECT_EQ(run["disagreements"], Json({"vCPU 2: no"}));
}

TEST(ReportJson, GuestWithoutIpiDeferHasNoMode)
{
    Report report = good_report();
    report.runs[0].guest_mode.reset();
    EXPECT_TRUE(to_json(report)["runs"][0]["guest"]["mode"].is_null());
}

TEST(ReportJson, WhatWasGivenUp)
{
    Report report = good_report();
    report.given_up = GivenUp{Mode::kHv, "a panic", "console"};
    EXPECT_EQ(to_json(report)["given_up"], Json({{"mode", "hv"},
                                                 {"arm", "hv"},
                                                 {"repetition", 1},
                                                 {"factors", Json::object()},
                                                 {"reason", "a panic"},
                                                 {"console", "console"}}));
}

TEST(ReportJson, Provenance)
{
    const Json provenance = to_json(good_report())["provenance"];
    EXPECT_EQ(provenance["ipidefer"], "1");
    ASSERT_EQ(provenance["guests"].size(), 4u);
    EXPECT_EQ(keys(provenance["guests"][0]),
              (Keys{"mode", "arm", "repetition", "factors", "kernel_release",
                    "kernel_version", "kernel_command_line", "kernel_messages",
                    "missing", "qemu_version", "qemu_command_line"}));
}

/// Of what `ipidefer lab compare` reads, nothing is missing.
TEST(ReportJson, CanBeCompared)
{
    Report report = good_report();
    report.provenance = provenance(Options{}, {"ipidefer"});
    report.runs[2].loops[3].listed = {{500, 20'000, "local_timer"}};
    report.runs[2].loops[3].left_out = 3;
    report.guests[0].release = "6.12.9";
    report.guests[0].qemu_command_line = {"qemu", "-smp", "4", "-m", "512M"};
    report.given_up = GivenUp{Mode::kHv, "a panic", "console"};
    report.starved.push_back({Mode::kGuest, "vCPU 2",
                              std::chrono::milliseconds{5500}, "a stall",
                              false});
    const auto read =
        report::read_report("report.json", to_json(report).dump());
    ASSERT_EQ(read.runs.size(), 4u);
    EXPECT_EQ(read.runs[0].interrupts.at("CAL"), 20u);
    EXPECT_EQ(read.kernel.version, "6.12.9");
    EXPECT_EQ(read.cpus, "4");
    EXPECT_EQ(read.memory, "512M");
    EXPECT_EQ(read.given_up, "mode hv: a panic");
    EXPECT_EQ(read.left_out(), 1u);
    EXPECT_EQ(read.starved[0].reason, "a stall");
    EXPECT_EQ(read.runs[2].arm, "hv");
    EXPECT_EQ(read.runs[2].milliseconds, 1234u);
    EXPECT_EQ(read.runs[2].loops.at(3).gaps,
              (report::Gaps{{90, 70'000}, {1000, 1}}));
    ASSERT_EQ(read.runs[2].loops.at(3).listed.size(), 1u);
    EXPECT_EQ(read.runs[2].loops.at(3).listed[0].length_ns, 20'000u);
    EXPECT_EQ(read.runs[2].loops.at(3).left_out, 3u);
    EXPECT_EQ(read.runs[2].gap_causes.at("local_timer"), 1u);
}

void collect(const Json& json, Keys& names)
{
    if (json.is_object())
        for (const auto& [key, value] : json.items()) {
            names.insert(key);
            collect(value, names);
        }
    else if (json.is_array())
        for (const auto& value : json) collect(value, names);
}

TEST(ReportJson, EveryMemberIsDocumented)
{
    Report report = good_report();
    report.given_up = GivenUp{};
    report.starved.emplace_back();
    report.repetitions.emplace();
    report.provenance = provenance(Options{}, {"ipidefer"});
    for (auto& run : report.runs) run.nested[2] = {};
    Json json = to_json(report);
    const Report repeated = repeated_report();
    json["statistics"] = to_json(repeated, repeated_of(repeated))["statistics"];
    json["sweep"] = nullptr;
    // Not members but data: callbacks, rows, vCPUs, gaps, vectors.
    for (auto& run : json["runs"]) {
        run["guest"]["events"] = Json::object();
        run["guest"]["interrupts"] = Json::object();
        run["guest"]["loop"] = run["guest"]["loop"]["2"];
        run["guest"]["loop"]["gaps_ns"] = Json::object();
        run["nested"] = run["nested"]["2"];
        if (!run["vmm"].is_null())
            run["vmm"]["verdicts"] = run["vmm"]["verdicts"]["0xf5"];
    }
    Keys names;
    collect(json, names);
    const std::string document = read_whole(IPIDEFER_LAB_DOCUMENT);
    for (const auto& name : names)
        EXPECT_NE(document.find('`' + name + '`'), std::string::npos) << name;
}

}  // namespace
}  // namespace ipidefer::lab
