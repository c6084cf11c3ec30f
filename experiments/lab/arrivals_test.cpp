// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/arrivals.hpp"

#include <gtest/gtest.h>

namespace ipidefer::lab {
namespace {

Snapshot guest(std::uint64_t isolated, std::uint64_t housekeeping,
               std::uint64_t sent)
{
    Snapshot snapshot;
    snapshot.interrupts.rows["RES"].taken = {{0, housekeeping}, {2, isolated}};
    snapshot.hists["ipi"].entries = {
        {{{"callback", "0x0"}, {"cpu", "2"}}, sent}};
    return snapshot;
}

TEST(Arrivals, CountsInterruptsOfIsolatedVcpus)
{
    EXPECT_EQ(arrivals(guest(3, 5, 1), {2}).interrupts, 3U);
    EXPECT_EQ(arrivals(guest(3, 5, 1), {2}), arrivals(guest(3, 6, 1), {2}));
    EXPECT_NE(arrivals(guest(3, 5, 1), {2}), arrivals(guest(4, 5, 1), {2}));
}

// Its interrupt would be counted after the snapshot, and its sending before.
TEST(Arrivals, WhatIsOnItsWayIsNoRest)
{
    EXPECT_NE(arrivals(guest(3, 5, 1), {2}), arrivals(guest(3, 5, 2), {2}));
}

TEST(Arrivals, AKernelWithoutTraceEventsHasInterrupts)
{
    Snapshot snapshot = guest(3, 5, 1);
    snapshot.hists.clear();
    EXPECT_EQ(arrivals(snapshot, {2}).interrupts, 3U);
    EXPECT_TRUE(arrivals(snapshot, {2}).events.empty());
}

}  // namespace
}  // namespace ipidefer::lab
