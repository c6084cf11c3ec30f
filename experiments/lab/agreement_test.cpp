// SPDX-License-Identifier: GPL-2.0-or-later
// A good run, and each way to break it: what is said is what was broken.
#include "experiments/lab/agreement.hpp"

#include <gtest/gtest.h>

#include "experiments/lab/lab_testing.hpp"

namespace ipidefer::lab {
namespace {

using test::good_run;
using test::kIsolated;
using test::kVector;
using Sentences = std::vector<std::string>;

WorkStats& row(Snapshot& at, unsigned cpu)
{
    return at.stats->rows.at({cpu, "sync_core"});
}

std::uint64_t& verdict(Snapshot& at, unsigned cpu, ipidefer_verdict which)
{
    return at.vmm->at(cpu).by_vector[kVector][which];
}

Sentences check(Mode mode, const Snapshots& at)
{
    return disagreements(mode, at, kIsolated);
}

class AgreementInEachMode : public testing::TestWithParam<Mode> {};

TEST_P(AgreementInEachMode, GoodRunHasNothingToSay)
{
    EXPECT_EQ(check(GetParam(), good_run(GetParam())), Sentences{});
}

TEST_P(AgreementInEachMode, SnapshotThatWasNotConsistentIsSaid)
{
    auto at = good_run(GetParam());
    at.b.consistent = false;
    EXPECT_EQ(check(GetParam(), at),
              Sentences{"typed IPIs kept coming after the workload: guest and "
                        "VMM cannot be compared at one moment"});
}

TEST_P(AgreementInEachMode, InterruptsThatTheStatisticsMissAreSaid)
{
    auto at = good_run(GetParam());
    // After the loop, where a typed interrupt is nothing bad.
    at.c.interrupts.rows["DSC"].taken[2] += 4;
    EXPECT_EQ(check(GetParam(), at),
              Sentences{"vCPU 2, sync_core: 0 delivered by its statistics, but "
                        "4 taken by /proc/interrupts"});
}

INSTANTIATE_TEST_SUITE_P(Modes, AgreementInEachMode, testing::ValuesIn(kModes),
                         [](const auto& info) {
                             return std::string{name(info.param)};
                         });

TEST(Agreement, KernelWithoutIpiDeferHasNothingToCompare)
{
    auto at = good_run(Mode::kOff);
    for (Snapshot* snapshot : {&at.a, &at.b, &at.c}) snapshot->stats.reset();
    EXPECT_EQ(check(Mode::kOff, at), Sentences{});
}

/// The segment of a good run says what QMP says.
void add_segments(Snapshots& at)
{
    for (Snapshot* snapshot : {&at.a, &at.b, &at.c}) {
        snapshot->segment.emplace();
        for (const auto& [cpu, now] : *snapshot->vmm)
            for (const auto& [vector, verdicts] : now.by_vector)
                (*snapshot->segment)[{cpu, vector}] = verdicts;
    }
}

TEST(Agreement, SegmentThatSaysTheSameIsFine)
{
    auto at = good_run(Mode::kHv);
    add_segments(at);
    EXPECT_EQ(check(Mode::kHv, at), Sentences{});
}

TEST(Agreement, SegmentThatSaysSomethingElseIsSaid)
{
    auto at = good_run(Mode::kHv);
    add_segments(at);
    ++at.b.segment->at({2, kVector})[IPIDEFER_COALESCED];
    at.c.segment->erase({3, kVector});
    (*at.c.segment)[{1, kVector}][IPIDEFER_DEFERRED] = 1;
    EXPECT_EQ(check(Mode::kHv, at),
              (Sentences{"vCPU 2, vector 245: its verdicts by QMP and in the "
                         "segment differ after the workload",
                         "vCPU 1, vector 245: its verdicts by QMP and in the "
                         "segment differ after the loops",
                         "vCPU 3, vector 245: its verdicts by QMP and in the "
                         "segment differ after the loops"}));
}

TEST(Agreement, SegmentReadWhileIpisCameIsNotCompared)
{
    auto at = good_run(Mode::kHv);
    add_segments(at);
    at.b.consistent = false;
    ++at.b.segment->at({2, kVector})[IPIDEFER_COALESCED];
    EXPECT_EQ(check(Mode::kHv, at).size(), 1u) << "that it was not consistent";
}

TEST(Agreement, LostIpiIsSaid)
{
    auto at = good_run(Mode::kHv);
    --verdict(at.c, 3, IPIDEFER_COALESCED);
    EXPECT_EQ(check(Mode::kHv, at),
              Sentences{"vCPU 3, sync_core: 10 requested, but 9 deferred, "
                        "coalesced and delivered by the VMM (I1)"});
}

TEST(Agreement, IpiThatWasRecordedAndDeliveredIsSaid)
{
    auto at = good_run(Mode::kHv);
    row(at.c, 2).delivered += 1;
    at.c.interrupts.rows["DSC"].taken[2] += 1;
    EXPECT_EQ(check(Mode::kHv, at),
              Sentences{"vCPU 2, sync_core: 1 taken, but 0 delivered by the "
                        "VMM (I1)"});
}

/// 37 delivered, and `taken` interrupts; 37 requests more than in a good run.
Snapshots delivered_37(std::uint64_t taken, std::uint64_t flushes,
                       std::uint64_t resent)
{
    auto at = good_run(Mode::kHv);
    verdict(at.c, 2, IPIDEFER_DELIVERED_IN_KERNEL) += 37;
    verdict(at.c, 2, IPIDEFER_DEFERRED) += flushes - 1;
    auto& last = row(at.c, 2);
    last.requested += 37 + flushes - 1;
    last.seq += 37 + flushes - 1;
    last.done = last.seq;
    last.flushed += flushes - 1;
    last.delivered += taken;
    at.c.interrupts.rows["DSC"].taken[2] += taken;
    at.c.resent += resent;
    at.c.hists.clear();
    return at;
}

/// With ticks, an entry may find work pending, and answer a request whose IPI
/// waits for interrupts to be on again: the next one is merged with it.
TEST(Agreement, OneIpiMayBeMergedForEachFlush)
{
    EXPECT_EQ(check(Mode::kHv, delivered_37(36, 1, 0)), Sentences{});
    EXPECT_EQ(check(Mode::kHv, delivered_37(32, 5, 0)), Sentences{});
    EXPECT_EQ(check(Mode::kHv, delivered_37(35, 1, 0)),
              Sentences{"vCPU 2, sync_core: 35 taken, but 37 delivered by the "
                        "VMM (I1): they differ by 2, and at most 1 can be "
                        "merged"});
}

TEST(Agreement, OneIpiMayBeMergedForEachThatWasSentAgain)
{
    EXPECT_EQ(check(Mode::kHv, delivered_37(35, 1, 1)), Sentences{});
    EXPECT_EQ(check(Mode::kHv, delivered_37(34, 1, 1)).size(), 1u);
}

TEST(Agreement, InterruptThatNobodySentIsSaidHoweverManyWereFlushed)
{
    EXPECT_EQ(check(Mode::kHv, delivered_37(38, 5, 5)),
              Sentences{"vCPU 2, sync_core: 38 taken, but 37 delivered by the "
                        "VMM (I1)"});
}

/// The VMM sees neither what is sent again by the local APIC nor, so, that it
/// is merged with an earlier one: by itself that makes nothing less.
Snapshots delivered_37_by_doorbell(std::uint64_t taken, std::uint64_t resent)
{
    auto at = delivered_37(taken, 1, resent);
    for (Snapshot* snapshot : {&at.a, &at.b, &at.c}) snapshot->sees_icr = false;
    return at;
}

TEST(Agreement, WhatIsSentAgainPastTheVmmMayBeOneMore)
{
    EXPECT_EQ(check(Mode::kHv, delivered_37_by_doorbell(38, 1)), Sentences{});
    EXPECT_EQ(check(Mode::kHv, delivered_37_by_doorbell(37, 1)), Sentences{});
    EXPECT_EQ(check(Mode::kHv, delivered_37_by_doorbell(36, 1)), Sentences{})
        << "for the flush";
    EXPECT_EQ(check(Mode::kHv, delivered_37_by_doorbell(39, 1)),
              Sentences{"vCPU 2, sync_core: 39 taken, but 37 delivered by the "
                        "VMM (I1): they differ by 2, and at most 1 were sent "
                        "again"});
    EXPECT_EQ(check(Mode::kHv, delivered_37_by_doorbell(35, 1)).size(), 1u);
    EXPECT_EQ(check(Mode::kHv, delivered_37_by_doorbell(38, 0)).size(), 1u);
}

TEST(Agreement, WhatIsSentAgainPastAVmmThatCountsMergesMayBeOneMore)
{
    auto at = delivered_37_by_doorbell(37, 1);
    at.a.vmm->at(2).merged[kVector] = 5;
    at.c.vmm->at(2).merged[kVector] = 6;
    EXPECT_EQ(check(Mode::kHv, at), Sentences{});
    at.c.vmm->at(2).merged[kVector] = 7;
    EXPECT_EQ(check(Mode::kHv, at).size(), 1u);
    at.c.vmm->at(2).merged[kVector] = 4;
    EXPECT_EQ(check(Mode::kHv, at).size(), 1u) << "lost after the verdict";
}

/// One that its target answered, and took, between the two.
void take_one_in_userspace(Snapshots& at)
{
    for (Snapshot* snapshot : {&at.b, &at.c}) {
        row(*snapshot, 2).delivered += 1;
        snapshot->interrupts.rows["DSC"].taken[2] += 1;
    }
}

TEST(Agreement, WhatIsSentAgainPastTheWordMayComeToALoop)
{
    for (const Mode mode : {Mode::kGuest, Mode::kHv}) {
        auto at = good_run(mode);
        for (Snapshot* snapshot : {&at.a, &at.b, &at.c})
            snapshot->sees_icr = mode == Mode::kGuest;
        take_one_in_userspace(at);
        EXPECT_FALSE(check(mode, at).empty()) << name(mode);
        at.b.resent += 1;
        at.c.resent += 1;
        EXPECT_EQ(check(mode, at), Sentences{}) << name(mode);
        take_one_in_userspace(at);
        EXPECT_EQ(check(mode, at).at(0),
                  "vCPU 2, sync_core: its loop was interrupted in userspace: 2 "
                  "typed interrupts, but only 0 others that can have taken it "
                  "into the kernel, and 1 were sent again");
    }
}

/// It decides on these as well.
TEST(Agreement, NothingIsSentAgainPastAVmmThatSeesTheIcr)
{
    auto at = good_run(Mode::kHv);
    take_one_in_userspace(at);
    at.b.resent += 1;
    at.c.resent += 1;
    EXPECT_EQ(check(Mode::kHv, at).size(), 2u);
}

TEST(Agreement, GuestModeMayMergeForFlushesAndTakeWhatWasSentAgain)
{
    auto at = good_run(Mode::kGuest);
    // One of the ten was delivered while another was pending.
    row(at.c, 2).suppressed -= 1;
    EXPECT_EQ(check(Mode::kGuest, at), Sentences{});
    row(at.c, 2).suppressed += 2;
    EXPECT_EQ(check(Mode::kGuest, at).size(), 1u);
    at.c.resent += 1;
    EXPECT_EQ(check(Mode::kGuest, at), Sentences{});
}

/// The same where the VMM sees the local APIC, and counts.
Snapshots delivered_37_of_which(std::uint64_t taken, std::uint64_t merged)
{
    auto at = delivered_37(taken, 1, 0);
    // Boot has had some, too.
    at.a.vmm->at(2).merged[kVector] = 5;
    at.c.vmm->at(2).merged[kVector] = 5 + merged;
    return at;
}

TEST(Agreement, MergedInterruptsThatAreCountedNeedNoBound)
{
    EXPECT_EQ(check(Mode::kHv, delivered_37_of_which(37, 0)), Sentences{});
    EXPECT_EQ(check(Mode::kHv, delivered_37_of_which(36, 1)), Sentences{});
    EXPECT_EQ(check(Mode::kHv, delivered_37_of_which(1, 36)), Sentences{});
}

/// The flush would have let one pass.
TEST(Agreement, InterruptLostAfterTheVerdictIsSaidWhereMergesAreCounted)
{
    EXPECT_EQ(check(Mode::kHv, delivered_37_of_which(36, 0)),
              Sentences{"vCPU 2, sync_core: 36 taken or merged with one that "
                        "was, but 37 delivered by the VMM (I1)"});
    EXPECT_EQ(check(Mode::kHv, delivered_37_of_which(37, 1)),
              Sentences{"vCPU 2, sync_core: 38 taken or merged with one that "
                        "was, but 37 delivered by the VMM (I1)"});
}

/// A sender that a flush has answered does not wait for its interrupt.
TEST(UnderWay, DeliveredButNotYetTaken)
{
    auto at = delivered_37_of_which(36, 1);
    at.c.vmm->at(2).merged[kVector] = 1;
    EXPECT_FALSE(under_way(at.c, kIsolated));
    at.c.vmm->at(2).merged[kVector] = 0;
    EXPECT_TRUE(under_way(at.c, kIsolated));
    EXPECT_FALSE(under_way(at.c, {3})) << "of another vCPU";
    at.c.vmm->at(2).merged.clear();
    EXPECT_FALSE(under_way(at.c, kIsolated)) << "nobody can know";
}

TEST(Agreement, FlushThatDidNotHappenIsSaid)
{
    auto at = good_run(Mode::kHv);
    row(at.c, 2).flushed -= 1;
    row(at.c, 2).done = 7;
    at.c.hists.erase("flush");
    EXPECT_EQ(check(Mode::kHv, at),
              (Sentences{"vCPU 2, sync_core: owes work: request 17 is not done "
                         "(done: 7), and it is not recorded either (I5)",
                         "vCPU 2, sync_core: 0 flushed or pending, but 1 "
                         "deferred by the VMM or pending before (I9)"}));
}

TEST(Agreement, WorkThatIsStillRecordedIsNotOwed)
{
    auto at = good_run(Mode::kHv);
    for (const unsigned cpu : kIsolated) {
        row(at.c, cpu).flushed -= 1;
        row(at.c, cpu).done = 7;
        row(at.c, cpu).state = test::kUserPending;
    }
    at.c.hists.erase("flush");
    EXPECT_EQ(check(Mode::kHv, at), Sentences{});
}

TEST(Agreement, WorkThatWasPendingBeforeIsFlushedToo)
{
    auto at = good_run(Mode::kHv);
    for (const unsigned cpu : kIsolated) {
        row(at.a, cpu).state = test::kUserPending;
        // All ten were coalesced with what was pending.
        verdict(at.c, cpu, IPIDEFER_DEFERRED) = 0;
        verdict(at.c, cpu, IPIDEFER_COALESCED) = 10;
    }
    EXPECT_EQ(check(Mode::kHv, at), Sentences{});
}

TEST(Agreement, RequestsThatTheVcpuSentItselfAreNotItsToPublish)
{
    auto at = good_run(Mode::kHv);
    row(at.c, 2).seq += 3;
    EXPECT_EQ(check(Mode::kHv, at), Sentences{});
}

TEST(Agreement, VcpuWithoutARegistrationIsSaid)
{
    auto at = good_run(Mode::kHv);
    at.c.vmm->at(2).bindings.clear();
    EXPECT_EQ(check(Mode::kHv, at),
              Sentences{"vCPU 2, sync_core: has nothing registered with the "
                        "VMM"});
}

TEST(Agreement, VerdictsThatAnIsolatedVcpuCannotHaveAreSaid)
{
    auto at = good_run(Mode::kHv);
    verdict(at.c, 2, IPIDEFER_DELIVERED_NOT_ISOLATED) = 2;
    row(at.c, 2).delivered += 2;
    row(at.c, 2).requested += 2;
    row(at.c, 2).seq += 2;
    row(at.c, 2).done += 2;
    at.c.interrupts.rows["DSC"].taken[2] += 2;
    at.c.hists.erase("request");
    EXPECT_EQ(check(Mode::kHv, at),
              Sentences{"vCPU 2, sync_core: the VMM's verdict was 2 times "
                        "delivered-not-isolated"});
}

TEST(Agreement, TypedInterruptOfALoopInUserspaceIsSaid)
{
    auto at = good_run(Mode::kGuest);
    for (Snapshot* snapshot : {&at.b, &at.c}) {
        row(*snapshot, 2).delivered += 2;
        row(*snapshot, 2).suppressed -= 2;
        snapshot->interrupts.rows["DSC"].taken[2] += 2;
        snapshot->interrupts.rows["CAL"].taken[2] += 1;
    }
    EXPECT_EQ(check(Mode::kGuest, at),
              Sentences{"vCPU 2, sync_core: its loop was interrupted in "
                        "userspace: 2 typed interrupts, but only 1 others that "
                        "can have taken it into the kernel"});
}

/// What the VMM saw is not called something else.
TEST(Agreement, TypedInterruptOfAVcpuInTheKernelIsNotCalledOneInUserspace)
{
    auto at = good_run(Mode::kHv);
    for (Snapshot* snapshot : {&at.b, &at.c}) {
        row(*snapshot, 2).delivered += 2;
        row(*snapshot, 2).requested += 2;
        row(*snapshot, 2).seq += 2;
        row(*snapshot, 2).done = row(*snapshot, 2).seq;
        verdict(*snapshot, 2, IPIDEFER_DELIVERED_IN_KERNEL) += 2;
        snapshot->interrupts.rows["DSC"].taken[2] += 2;
        snapshot->hists.clear();
    }
    EXPECT_EQ(check(Mode::kHv, at),
              Sentences{"vCPU 2, sync_core: 2 typed interrupts came while the "
                        "vCPU was in the kernel by its word, but only 0 others "
                        "can have taken it there: something else than its loop "
                        "ran on it, or the word was wrong"});
}

TEST(LoopsLeft, LoopsThatSpinOnHaveNotLeft)
{
    EXPECT_EQ(loops_left(good_run(Mode::kHv)), "");
}

TEST(LoopsLeft, WhatTheWorkloadDidToThemIsSaid)
{
    auto at = good_run(Mode::kHv);
    at.b.loops.at(2).state = 'T';
    at.b.loops.at(3).runs_on = 1;
    EXPECT_EQ(loops_left(at),
              "the loop of vCPU 2 is stopped; the loop of vCPU 3 was moved to "
              "vCPU 1");
    at.b.loops.at(2).state = '\0';
    at.b.loops.at(3).runs_on = 3;
    at.b.loops.at(3).left += 2;
    EXPECT_EQ(loops_left(at),
              "the loop of vCPU 2 has ended; the loop of vCPU 3 was stopped or "
              "moved 2 times");
}

TEST(MissingCpus, IsolatedOnesMustBeOnline)
{
    EXPECT_EQ(missing_cpus(kIsolated, "0-3", ""), "");
    EXPECT_EQ(missing_cpus(kIsolated, "0-1", "maxcpus=2"),
              "the guest has CPUs 0-1 online, without the isolated 2-3; see "
              "--append 'maxcpus=2'");
    EXPECT_EQ(missing_cpus(kIsolated, "0-2", ""),
              "the guest has CPUs 0-2 online, without the isolated 3");
}

TEST(Agreement, TypedInterruptDuringAnotherOneIsAllowed)
{
    auto at = good_run(Mode::kGuest);
    for (Snapshot* snapshot : {&at.b, &at.c}) {
        row(*snapshot, 2).delivered += 1;
        row(*snapshot, 2).suppressed -= 1;
        snapshot->interrupts.rows["DSC"].taken[2] += 1;
        snapshot->interrupts.rows["CAL"].taken[2] += 1;
    }
    EXPECT_EQ(check(Mode::kGuest, at), Sentences{});
}

TEST(Agreement, RequestThatTheSenderLostIsSaid)
{
    auto at = good_run(Mode::kGuest);
    row(at.c, 3).suppressed -= 2;
    EXPECT_EQ(check(Mode::kGuest, at),
              Sentences{"vCPU 3, sync_core: 10 requested, but 8 suppressed and "
                        "delivered: they differ by 2, and at most 1 can be "
                        "merged"});
}

TEST(Agreement, TraceEventsAreAThirdCount)
{
    auto at = good_run(Mode::kGuest);
    at.c.hists["request"].entries[0].hits -= 1;
    at.c.hists["flush"].entries[1].hits += 1;
    EXPECT_EQ(check(Mode::kGuest, at),
              (Sentences{"vCPU 2, sync_core: 10 requested by its statistics, "
                         "but 9 by its trace events",
                         "vCPU 3, sync_core: 1 flushed by its statistics, but "
                         "2 by its trace events"}));
}

TEST(Agreement, TraceEventsThatWereDroppedAreNotCompared)
{
    auto at = good_run(Mode::kGuest);
    at.c.hists["request"].entries[0].hits -= 1;
    at.c.hists["request"].dropped = 1;
    EXPECT_EQ(check(Mode::kGuest, at), Sentences{});
}

TEST(Agreement, VmmThatDecidesForAGuestInAnotherModeIsSaid)
{
    auto at = good_run(Mode::kGuest);
    at.a.vmm.emplace();
    at.c.vmm.emplace();
    (*at.c.vmm)[0].by_vector[kVector][IPIDEFER_DEFERRED] = 3;
    EXPECT_EQ(check(Mode::kGuest, at),
              Sentences{"vCPU 0, vector 245: the VMM decided 3 times, though "
                        "this guest does not use it"});
}

/// With nested guests KERNEL_TLBI is delivered, and SYNC_CORE may come along.
TEST(Disagreements, NestedGuestsAreInterruptedByWhatIsNotDeferredForThem)
{
    auto at = good_run(Mode::kGuest);
    at.b.interrupts.rows["DSC"].taken[2] += 1;
    at.b.interrupts.rows["DTL"].taken[2] = 1;
    EXPECT_FALSE(check(Mode::kGuest, at).empty()) << "a loop in userspace";
    at.b.nested[2] = {};
    for (const auto& said : check(Mode::kGuest, at))
        EXPECT_EQ(said.find("interrupted in userspace"), std::string::npos)
            << said;
    at.b.interrupts.rows["DTL"].taken[2] = 0;
    bool seen = false;
    for (const auto& said : check(Mode::kGuest, at))
        seen |= said.find("interrupted in userspace") != std::string::npos;
    EXPECT_TRUE(seen) << "nothing but SYNC_CORE brought it into the kernel";
}

}  // namespace
}  // namespace ipidefer::lab
