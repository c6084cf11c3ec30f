// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/events.hpp"

#include <gtest/gtest.h>

#include "experiments/lab/lab_testing.hpp"

namespace ipidefer::lab {
namespace {

using test::entry;
using Events = std::map<std::string, std::uint64_t>;

TEST(EventCounters, FilterNamesTheIsolatedCpus)
{
    for (const auto& counter : event_counters({2, 3, 5}))
        EXPECT_NE(counter.trigger.find("CPUS{2-3,5}"), std::string::npos)
            << counter.event;
}

TEST(Events, OnlyWhatWasGainedCounts)
{
    Snapshot from;
    Snapshot to;
    from.hists["csd"].entries = {
        entry({{"func", "do_sync_core"}, {"cpu", "2"}}, 4),
        entry({{"func", "old"}, {"cpu", "2"}}, 9)};
    to.hists["csd"].entries = {
        entry({{"func", "do_sync_core"}, {"cpu", "2"}}, 10),
        entry({{"func", "do_sync_core"}, {"cpu", "3"}}, 5),
        entry({{"func", "old"}, {"cpu", "2"}}, 9)};
    EXPECT_EQ(events_between(from, to), (Events{{"do_sync_core", 11}}));
}

TEST(Events, CarriersAreLeftOut)
{
    Snapshot from;
    Snapshot to;
    to.hists["ipi"].entries = {
        entry({{"callback", "generic_smp_call_function_single_interrupt"},
               {"cpu", "2"}},
              3),
        entry({{"callback", "0x0"}, {"cpu", "2"}}, 2)};
    to.hists["ipi-mask"].entries = {
        entry({{"callback", "sysvec_ipi_defer_sync_core"}}, 7),
        entry({{"callback", "something_else"}}, 1)};
    EXPECT_EQ(events_between(from, to),
              (Events{{"reschedule", 2}, {"something_else", 1}}));
}

TEST(Events, TypedWorkIsCountedPerTarget)
{
    const auto at = test::good_run(Mode::kHv);
    EXPECT_EQ(events_between(at.a, at.b), (Events{{"typed:sync_core", 20}}));
    EXPECT_EQ(traced_requests(at.a, at.b),
              (PerCpuWork{{{2, "sync_core"}, 10}, {{3, "sync_core"}, 10}}));
}

TEST(Events, FlushesAreCountedPerCpu)
{
    const auto at = test::good_run(Mode::kHv);
    EXPECT_EQ(traced_flushes(at.b, at.c),
              (std::map<unsigned, std::uint64_t>{{2, 1}, {3, 1}}));
}

TEST(Events, CounterThatLostSomethingDoesNotCount)
{
    Snapshot at;
    EXPECT_FALSE(counts_requests(at));
    at.hists["request"];
    EXPECT_TRUE(counts_requests(at));
    at.hists["request"].dropped = 1;
    EXPECT_FALSE(counts_requests(at));
}

}  // namespace
}  // namespace ipidefer::lab
