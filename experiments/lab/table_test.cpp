// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/table.hpp"

#include <gtest/gtest.h>

#include "experiments/lab/lab_testing.hpp"

namespace ipidefer::lab {
namespace {

TEST(Table, NoRunsNoTable) { EXPECT_EQ(render_tables({}), ""); }

TEST(Table, OneColumnForEachMode)
{
    const auto text = render_tables({test::good_result(Mode::kOff),
                                     test::good_result(Mode::kGuest),
                                     test::good_result(Mode::kHv)});
    EXPECT_EQ(text,
              "workload mixed, isolated vCPUs 2-3, kvm in tcg\n"
              "                                  off  guest    hv\n"
              "events aimed at them\n"
              "  do_sync_core                     20      0     0\n"
              "  typed:sync_core                   0     20    20\n"
              "interrupts they took\n"
              "  CAL  Function call interrupts    20      0     0\n"
              "the VMM's verdicts\n"
              "  0xf5  deferred                    -      -     2\n"
              "  0xf5  coalesced                   -      -    18\n"
              "  0xf5  delivered-in-kernel         -      -     0\n"
              "their loops, by the clock (the host's noise included)\n"
              "  vCPU 2  gaps > 10 us              5      5     5\n"
              "  vCPU 2  longest, ms            0.00   0.00  0.00\n"
              "  vCPU 3  gaps > 10 us              5      5     5\n"
              "  vCPU 3  longest, ms            0.00   0.00  0.00\n"
              "guest and VMM agree               yes    yes   yes\n");
}

TEST(Table, GapsHaveCauses)
{
    auto off = test::good_result(Mode::kOff);
    off.loops[2].listed = {{0, 20'000, "local_timer"},
                           {50'000, 20'000, "call_function"},
                           {90'000, 20'000, "call_function"}};
    off.loops[3].listed = {{0, 20'000, "call_function"}};
    const auto text = render_tables({off, test::good_result(Mode::kHv)});
    EXPECT_NE(text.find("their gaps > 10 us, by what the guest did in them\n"
                        "  call_function                     3     0\n"
                        "  local_timer                       1     0\n"),
              std::string::npos)
        << text;
}

TEST(Table, WhatIsWrongFollowsTheTable)
{
    auto run = test::good_result(Mode::kHv);
    run.disagreements = {"vCPU 2, sync_core: something"};
    const auto text = render_tables({run});
    EXPECT_NE(text.find(" NO\n  hv: vCPU 2, sync_core: something\n"),
              std::string::npos);
}

TEST(Table, WhatWasSentAgainIsShownWhereThereWasAny)
{
    auto at = test::good_run(Mode::kHv);
    at.a.resent = 3;
    at.b.resent = 5;
    EXPECT_NE(
        render_tables({evaluate(Mode::kHv, "mixed", test::kIsolated, at)})
            .find("typed IPIs sent again, to any vCPU     2\ninterrupts they"),
        std::string::npos);
    EXPECT_EQ(render_tables({test::good_result(Mode::kHv)}).find("sent again"),
              std::string::npos);
}

TEST(Table, ColumnSaysWhatTheGuestRanAs)
{
    auto run = test::good_result(Mode::kOff);
    run.mode = Mode::kHv;
    EXPECT_NE(render_tables({run}).find("hv (ran off)"), std::string::npos);
    run.guest_mode.reset();
    EXPECT_NE(render_tables({run}).find("hv (n/a)"), std::string::npos);
}

TEST(Table, WorkloadsHaveTablesOfTheirOwn)
{
    auto other = test::good_result(Mode::kOff);
    other.workload = "bpf";
    const auto text = render_tables({test::good_result(Mode::kOff), other,
                                     test::good_result(Mode::kGuest)});
    const auto second = text.find("\n\nworkload bpf");
    EXPECT_EQ(text.find("workload mixed"), 0u);
    ASSERT_NE(second, std::string::npos);
    EXPECT_LT(text.find("guest\n"), second);
}

TEST(Table, HostsOwnInterruptsFollowTheExits)
{
    auto run = test::good_result(Mode::kHv);
    run.kvm[2]["exits"] = 12;
    run.kvm[3]["exits"] = 30;
    EXPECT_EQ(render_tables({run}).find("of the host itself"),
              std::string::npos);
    run.host_interrupts = {{2, 10}, {3, 25}};
    EXPECT_NE(
        render_tables({run}).find("  exits                            42\n"
                                  "  interrupts of the host itself    35\n"),
        std::string::npos);
}

TEST(Table, NestedGuestsTakeThePlaceOfTheLoops)
{
    auto run = test::good_result(Mode::kHv);
    run.nested[2] = {7, 5, "guest", "guest"};
    run.nested[3] = {0, 0, "guest", "kernel"};
    const auto text = render_tables({run});
    for (const char* line : {"  vCPU 2  exits                             7\n",
                             "  vCPU 2  forced by interrupts              5\n",
                             "  vCPU 3  context               guest, kernel\n"})
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
    EXPECT_EQ(text.find("their loops"), std::string::npos);
}

TEST(Evaluate, NestedGuestsAreCountedFromAToB)
{
    auto at = test::good_run(Mode::kHv);
    at.a.nested[2] = {10, 4};
    at.b.nested[2] = {13, 5};
    at.b.stats->rows.at({2, "sync_core"}).state = 0x3;
    const auto run = evaluate(Mode::kHv, "mixed", test::kIsolated, at);
    EXPECT_EQ(run.nested.at(2).exits, 3u);
    EXPECT_EQ(run.nested.at(2).interrupt_exits, 1u);
    EXPECT_EQ(run.nested.at(2).before, "user");
    EXPECT_EQ(run.nested.at(2).after, "guest");
}

}  // namespace
}  // namespace ipidefer::lab
