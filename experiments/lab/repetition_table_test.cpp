// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/repetition_table.hpp"

#include <gtest/gtest.h>

#include "experiments/lab/lab_testing.hpp"

namespace ipidefer::lab {
namespace {

/// off twice and hv, as often as that; off has 20 of CAL and a few more.
Report repeated(unsigned repetitions)
{
    const std::vector<Mode> modes{Mode::kOff, Mode::kHv};
    Report report;
    report.repetitions = Repetitions{42, arms_of(modes, repetitions),
                                     plan(modes, repetitions, 42)};
    for (unsigned i = 0; i < repetitions; ++i)
        for (const auto& [point, arm] : report.repetitions->order[i]) {
            Run run = test::good_result(arm.mode);
            run.turn = {i + 1, arm.letter};
            if (arm.mode == Mode::kOff)
                run.interrupts["CAL"] +=
                    arm.letter == 'A' ? i % 3 : (i + 1) % 3;
            report.runs.push_back(std::move(run));
        }
    return report;
}

std::string rendered(const Report& report)
{
    return render_repetitions(report, repeated_of(report));
}

bool has(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

void drop(Report& report, Mode mode, const Turn& turn)
{
    std::erase_if(report.runs, [&](const Run& run) {
        return run.mode == mode && run.turn == turn;
    });
}

TEST(RepetitionTable, NoRunsNoTable)
{
    Report report = repeated(2);
    report.runs.clear();
    EXPECT_EQ(rendered(report), "");
}

TEST(RepetitionTable, MediansAndDifferences)
{
    Report report = repeated(6);
    for (auto& run : report.runs) run.isolated = {2};
    EXPECT_EQ(
        rendered(report),
        R"(workload mixed, isolated vCPUs 2, kvm in tcg, 6 repetitions, seed 42; median [quartiles]
                                             off/A              off/B                 hv
repetitions                                      6                  6                  6
events aimed at them
  do_sync_core                         20 [20, 20]        20 [20, 20]           0 [0, 0]
  typed:sync_core                         0 [0, 0]           0 [0, 0]        20 [20, 20]
interrupts they took
  CAL  Function call interrupts  21 [20.25, 21.75]  21 [20.25, 21.75]           0 [0, 0]
  all of them                    21 [20.25, 21.75]  21 [20.25, 21.75]           0 [0, 0]
the VMM's verdicts
  0xf5  deferred                                 -                  -           2 [2, 2]
  0xf5  coalesced                                -                  -        18 [18, 18]
  0xf5  delivered-in-kernel                      -                  -           0 [0, 0]
their loops, by the clock (the host's noise included)
  vCPU 2  gaps > 10 us                    5 [5, 5]           5 [5, 5]           5 [5, 5]
  vCPU 2  longest, ms            0.00 [0.00, 0.00]  0.00 [0.00, 0.00]  0.00 [0.00, 0.00]
guest and VMM agree                            yes                yes                yes

differences, in pairs            median          95 %      p
off/B - off/A, 6 pairs: the noise, they differ in nothing
  do_sync_core                        0        [0, 0]      1  no difference seen
  typed:sync_core                     0        [0, 0]      1  no difference seen
  CAL  Function call interrupts       1       [-2, 1]   0.81  no difference seen
  all of them                         1       [-2, 1]   0.81  no difference seen
  vCPU 2  gaps > 10 us                0        [0, 0]      1  no difference seen
  vCPU 2  longest, ms              0.00  [0.00, 0.00]      1  no difference seen
hv - off/A, 6 pairs
  do_sync_core                      -20    [-20, -20]  0.031  less
  typed:sync_core                    20      [20, 20]  0.031  more
  CAL  Function call interrupts     -21    [-22, -20]  0.031  less
  all of them                       -21    [-22, -20]  0.031  less
  vCPU 2  gaps > 10 us                0        [0, 0]      1  no difference seen
  vCPU 2  longest, ms              0.00  [0.00, 0.00]      1  no difference seen
)");
}

TEST(RepetitionTable, TooFewSayThatTheyAre)
{
    const auto text = rendered(repeated(2));
    EXPECT_TRUE(has(text, "2 repetitions, seed 42")) << text;
    EXPECT_TRUE(has(
        text, "\nno difference can be seen with 2 pairs: it takes 6 or more\n"))
        << text;
    EXPECT_TRUE(has(text, "too few\n")) << text;
    EXPECT_FALSE(has(text, "less\n")) << text;
}

TEST(RepetitionTable, WhatTheHostStarvedIsLeftOutOfPairs)
{
    Report report = repeated(8);
    drop(report, Mode::kHv, {3, '\0'});
    report.starved.push_back({Mode::kHv,
                              "vCPU 2",
                              std::chrono::milliseconds{5500},
                              "a stall",
                              false,
                              {3, '\0'}});
    // One that was made again is not missing.
    report.starved.push_back({Mode::kOff,
                              "vCPU 2",
                              std::chrono::milliseconds{5500},
                              "a stall",
                              true,
                              {4, 'A'}});
    drop(report, Mode::kOff, {8, 'B'});
    const auto text = rendered(report);
    EXPECT_TRUE(has(text,
                    "left out: hv of repetition 3, which the host "
                    "starved\n"))
        << text;
    EXPECT_TRUE(has(text,
                    "left out: off/B of repetition 8, which did not "
                    "run\n"))
        << text;
    EXPECT_FALSE(has(text, "left out: off/A")) << text;
    EXPECT_TRUE(has(text, "hv - off/A, 7 pairs\n")) << text;
    EXPECT_TRUE(has(text, "off/B - off/A, 7 pairs: the noise")) << text;
}

TEST(RepetitionTable, ModeWithoutAnyRunIsNamed)
{
    Report report = repeated(2);
    EXPECT_TRUE(without_runs(report, {"mixed"}).empty());
    drop(report, Mode::kHv, {1, '\0'});
    EXPECT_TRUE(without_runs(report, {"mixed"}).empty());
    drop(report, Mode::kHv, {2, '\0'});
    EXPECT_EQ(without_runs(report, {"mixed"}),
              (std::vector<std::string>{"hv of workload mixed"}));
    const auto text = rendered(report);
    EXPECT_TRUE(has(text, "hv - off/A, 0 pairs\n  none\n")) << text;
}

TEST(RepetitionTable, WithoutOffThereAreMediansOnly)
{
    Report report = repeated(3);
    report.repetitions->arms = {{Mode::kHv}};
    std::erase_if(report.runs,
                  [](const auto& run) { return run.mode == Mode::kOff; });
    const auto text = rendered(report);
    EXPECT_TRUE(has(text, "0 [0, 0]")) << text;
    EXPECT_TRUE(has(text,
                    "\nwithout mode off there is nothing that the others "
                    "are compared with\n"))
        << text;
}

TEST(RepetitionTable, DisagreementsAreCountedAndTold)
{
    Report report = repeated(3);
    for (auto& run : report.runs)
        if (run.mode == Mode::kHv && run.turn.repetition == 2)
            run.disagreements = {"vCPU 2, sync_core: something"};
    const auto text = rendered(report);
    EXPECT_TRUE(has(text, "NO, in 1 of 3\n")) << text;
    EXPECT_TRUE(has(text, "  hv, repetition 2: vCPU 2, sync_core: something\n"))
        << text;
}

TEST(RepetitionTable, ContextsThatChangeAreNoNumbers)
{
    Report report = repeated(2);
    for (auto& run : report.runs)
        run.nested[2] = {7, 5, "guest",
                         run.turn.repetition == 1 ? "guest" : "kernel"};
    const auto text = rendered(report);
    EXPECT_TRUE(has(text, "not always the same")) << text;
    EXPECT_TRUE(has(text, "vCPU 2  forced by interrupts")) << text;
}

}  // namespace
}  // namespace ipidefer::lab
