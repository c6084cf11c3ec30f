// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/guest_report.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

// Values differ in each column: a swap would show.
constexpr char kStats[] =
    "version 1\n"
    "mode hv\n"
    "cpu work requested suppressed delivered flushed done seq state\n"
    "0 sync_core 9 -1 10 2 18 78 0x8ea181\n"
    "2 sync_core 75 60 15 3 17 78 0x575706\n"
    "2 kernel_tlbi 5 4 1 0 7 8 0x575706\n";

TEST(GuestStats, EveryColumnIsWhereItBelongs)
{
    const auto stats = parse_stats(kStats);
    EXPECT_EQ(stats.mode, "hv");
    EXPECT_EQ(stats.works,
              (std::vector<std::string>{"sync_core", "kernel_tlbi"}));
    EXPECT_EQ(stats.rows.at({2, "sync_core"}),
              (WorkStats{75, 60, 15, 3, 17, 78, 0x575706}));
}

TEST(GuestStats, SuppressedMayBeNegative)
{
    // A difference of two counters that are not read at once.
    EXPECT_EQ(parse_stats(kStats).rows.at({0, "sync_core"}).suppressed, -1);
}

TEST(GuestStats, OtherVersionsAndColumnsAreRefused)
{
    EXPECT_THROW((void)parse_stats(""), Failure);
    EXPECT_THROW((void)parse_stats("version 2\nmode hv\nx\n"), Failure);
    EXPECT_THROW((void)parse_stats("version 1\nmode hv\ncpu work\n"), Failure);
}

TEST(GuestStats, BadRowsAreRefused)
{
    const std::string head{kStats};
    for (const char* row :
         {"x sync_core 1 1 1 1 1 1 0x1\n", "1 sync_core 1 1 1 1 1 1\n",
          "1 sync_core 1 1 1 1 1 1 0x1 1\n", "1 sync_core 1 1 1 1 1 -1 0x1\n",
          "1 sync_core 1 1 1 1 1 1 0x100000000\n",
          "0 sync_core 1 1 1 1 1 1 0x1\n"})  // the last one is there twice
        EXPECT_THROW((void)parse_stats(head + row), Failure) << row;
}

constexpr char kInterrupts[] =
    "           CPU0       CPU2       \n"
    "  4:         11         12  IO-APIC   4-edge      ttyS0\n"
    "CAL:        362         22   Function call interrupts\n"
    "DSC:          9         15   Deferrable sync-core interrupts\n"
    "ERR:          0\n"
    "MIS:          0\n";

TEST(Interrupts, RowsCountPerCpuByNumberNotByColumn)
{
    const auto interrupts = parse_interrupts(kInterrupts);
    const auto& dsc = interrupts.rows.at("DSC");
    EXPECT_EQ(dsc.taken, (std::map<unsigned, std::uint64_t>{{0, 9}, {2, 15}}));
    EXPECT_EQ(dsc.description, "Deferrable sync-core interrupts");
    EXPECT_EQ(interrupts.rows.at("4").description, "IO-APIC 4-edge ttyS0");
}

TEST(Interrupts, RowsForTheWholeMachineAreLeftOut)
{
    EXPECT_FALSE(parse_interrupts(kInterrupts).rows.contains("ERR"));
}

TEST(Interrupts, NonsenseIsRefused)
{
    EXPECT_THROW((void)parse_interrupts(""), Failure);
    EXPECT_THROW((void)parse_interrupts("CPUx\n"), Failure);
    EXPECT_THROW((void)parse_interrupts("CPU0\nno colon 3\n"), Failure);
    EXPECT_THROW((void)parse_interrupts("CPU0\nDSC: many things\n"), Failure);
}

constexpr char kHist[] =
    "# event histogram\n"
    "#\n"
    "# trigger info: hist:keys=func.sym,cpu:vals=hitcount:sort=hitcount:"
    "size=2048 if cpu & CPUS{2-3} [active]\n"
    "#\n"
    "\n"
    "{ func: [ffffffff810a0b20] do_sync_core                            , "
    "cpu:          2 } hitcount:        114\n"
    "{ func: [ffffffff810d1e30] nohz_full_kick_func                     , "
    "cpu:          3 } hitcount:          7\n"
    "\n"
    "Totals:\n"
    "    Hits: 121\n"
    "    Entries: 2\n"
    "    Dropped: 5\n";

TEST(Histogram, KeysAndHits)
{
    const auto histogram = parse_histogram(kHist);
    ASSERT_EQ(histogram.entries.size(), 2u);
    EXPECT_EQ(histogram.entries[0].keys,
              (std::map<std::string, std::string>{{"func", "do_sync_core"},
                                                  {"cpu", "2"}}));
    EXPECT_EQ(histogram.entries[0].hits, 114u);
    EXPECT_EQ(histogram.dropped, 5u);
}

TEST(Histogram, WithoutEntriesIsEmpty)
{
    const auto histogram = parse_histogram(
        "# event histogram\n\n\nTotals:\n    Hits: 0\n    Dropped: 0\n");
    EXPECT_TRUE(histogram.entries.empty());
    EXPECT_EQ(histogram.dropped, 0u);
}

TEST(Histogram, TornEntriesAreRefused)
{
    EXPECT_THROW((void)parse_histogram("{ cpu: 2\n"), Failure);
    EXPECT_THROW((void)parse_histogram("{ cpu } hitcount: 3\n"), Failure);
    EXPECT_THROW((void)parse_histogram("{ cpu: 2 } hitcount: x\n"), Failure);
}

TEST(Resent, IsANumber)
{
    EXPECT_EQ(parse_resent("3\n"), 3u);
    EXPECT_THROW((void)parse_resent("many\n"), Failure);
}

}  // namespace
}  // namespace ipidefer::lab
