// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/gap_causes.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

using nlohmann::json;

/// As the kernel writes it; the head counts the events of all CPUs.
std::string trace_of(const std::string& events)
{
    return "# tracer: nop\n#\n# entries-in-buffer/entries-written: 8/8   "
           "#P:4\n#\n"
           "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n" +
           events;
}

std::string stats_of(unsigned kept, unsigned overwritten, unsigned dropped = 0)
{
    return "entries: " + std::to_string(kept) +
           "\noverrun: " + std::to_string(overwritten) +
           "\ncommit overrun: 0\nbytes: 136\noldest event ts: 1000\n"
           "now ts: 9000\ndropped events: " +
           std::to_string(dropped) + "\nread events: 0\n";
}

constexpr char kEvents[] =
    "       lab-agent-86      [002] d..1. 1000: local_timer_entry: "
    "vector=236\n"
    "       lab-agent-86      [002] d..1. 1010: call_function_entry: "
    "vector=252\n"
    "       lab-agent-86      [002] d..2. 2000: sched_switch: "
    "prev_comm=lab-agent prev_pid=86 prev_prio=120 prev_state=R ==> "
    "next_comm=kworker/2:1 next_pid=33 next_prio=120\n";

TEST(GapCauses, AreWhatHappenedMeanwhile)
{
    const auto record = parse_guest_record(trace_of(kEvents), stats_of(3, 0));
    ASSERT_EQ(record.events.size(), 3u);
    EXPECT_EQ(cause_of(record, 990, 15), "local_timer");
    EXPECT_EQ(cause_of(record, 990, 20), "call_function + local_timer");
    EXPECT_EQ(cause_of(record, 1010, 990), "call_function + sched_switch");
    // Both ends belong to the gap, what is beside it does not.
    EXPECT_EQ(cause_of(record, 1000, 9), "local_timer");
    EXPECT_EQ(cause_of(record, 1001, 8), kNothingInGuest);
    EXPECT_EQ(cause_of(record, 5000, 100), kNothingInGuest);
}

TEST(GapCauses, AreUnknownWhereEventsAreLost)
{
    // The oldest are gone.
    auto record = parse_guest_record(trace_of(kEvents), stats_of(3, 5));
    EXPECT_EQ(cause_of(record, 990, 15), kUnknownCause);
    EXPECT_EQ(cause_of(record, 1000, 5), "local_timer");
    EXPECT_EQ(cause_of(record, 5000, 100), kNothingInGuest);
    // The end is cut off.
    record = parse_guest_record(trace_of(kEvents), stats_of(9, 0));
    EXPECT_EQ(cause_of(record, 10, 15), kNothingInGuest);
    EXPECT_EQ(cause_of(record, 1990, 10), "sched_switch");
    EXPECT_EQ(cause_of(record, 1990, 20), kUnknownCause);
}

TEST(GapCauses, AreUnknownWhereTheRecordIsNotUnderstood)
{
    const std::string good = trace_of(kEvents);
    const std::string lost = std::string{"CPU:2 [LOST 5 EVENTS]\n"} + kEvents;
    for (const auto& [trace, stats] :
         {std::pair{good, std::string{}},
          {good, std::string{"entries: x\noverrun: 0\ndropped events: 0\n"}},
          {good, std::string{"entries: 3\ndropped events: 0\n"}},
          {good, stats_of(3, 0, 1)},
          {good + "something else\n", stats_of(3, 0)},
          {trace_of(lost), stats_of(3, 0)}})
        EXPECT_EQ(cause_of(parse_guest_record(trace, stats), 990, 15),
                  kUnknownCause)
            << trace << stats;
}

TEST(GapCauses, NothingThatWasRecordedIsNothingThatHappened)
{
    const auto record = parse_guest_record(trace_of(""), stats_of(0, 0));
    EXPECT_EQ(cause_of(record, 990, 15), kNothingInGuest);
}

class ListedGaps : public testing::Test {
  protected:
    ListedGaps() { taken_.loops[2] = {}; }

    static json answer(const json& trace)
    {
        return {{"loops",
                 {{{"cpu", 2},
                   {"starts", {3000, 3990}},
                   {"lengths", {50, 40}},
                   {"left_out", 7},
                   {"trace", trace},
                   {"trace_stats", stats_of(1, 0)}}}},
                {"marked_at", 2000},
                {"cycles_per_ns", 2.0}};
    }

    Snapshot taken_;
};

TEST_F(ListedGaps, HaveTheirPlaceInTimeAndTheirCause)
{
    add_listed_gaps(taken_, answer(trace_of("  a-1  [002] d..1. 4000: "
                                            "reschedule_entry: vector=253\n")));
    EXPECT_EQ(taken_.loops[2].left_out, 7u);
    EXPECT_EQ(taken_.loops[2].listed,
              (std::vector<ListedGap>{{500, 25, kNothingInGuest},
                                      {995, 20, "reschedule"}}));
}

TEST_F(ListedGaps, WithoutARecordTheyHaveNoCause)
{
    add_listed_gaps(taken_, answer(nullptr));
    ASSERT_EQ(taken_.loops[2].listed.size(), 2u);
    EXPECT_EQ(taken_.loops[2].listed[0].cause, kUnknownCause);
}

TEST_F(ListedGaps, ListsThatDoNotGoTogetherAreRefused)
{
    json bad = answer(nullptr);
    bad["loops"][0]["lengths"].push_back(1);
    EXPECT_THROW(add_listed_gaps(taken_, bad), Failure);
}

TEST_F(ListedGaps, NestedGuestsHaveNone)
{
    add_listed_gaps(taken_, {{"loops", json::array()}});
    EXPECT_TRUE(taken_.loops[2].listed.empty());
}

}  // namespace
}  // namespace ipidefer::lab
