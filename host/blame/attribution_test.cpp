// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/attribution.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

namespace ipidefer::blame {
namespace {

using Kind = Cause::Kind;
using What = Event::What;

constexpr int kThread = 102;  // of vCPU 2
constexpr int kSender = 101;  // of vCPU 1
constexpr int kOther = 50;
constexpr unsigned kCpu = 7;
constexpr unsigned kElsewhere = 3;

class AttributionTest : public testing::Test {
  protected:
    std::optional<Interruption> at(std::uint64_t ns, What what,
                                   const std::string& text = "",
                                   std::uint64_t number = 0)
    {
        return attribution_.feed(
            {ns, kCpu, kThread, what, number, 0, text, "CPU 2/KVM", nullptr});
    }
    /// By another thread, on another CPU.
    void elsewhere(int pid, What what, std::uint64_t number,
                   const std::string& text = "", std::uint64_t other = 0,
                   const std::string& comm = "somebody")
    {
        attribution_.feed(
            {0, kElsewhere, pid, what, number, other, text, comm, nullptr});
    }
    /// The stack that the kernel writes behind what was sent.
    void stack(int pid, const Stack& functions, unsigned cpu = kElsewhere)
    {
        attribution_.feed({0, cpu, pid, What::kStack, 0, 0, "", "",
                           std::make_shared<Stack>(functions)});
    }
    std::map<Stack, std::uint64_t> stacks_of(const Cause& cause) const
    {
        return attribution_.tallies().at({2, cause}).stacks;
    }
    void forced_exit(std::uint64_t ns) { at(ns, What::kExit, "interrupt", 1); }
    Cause ended(std::uint64_t ns)
    {
        const auto done = at(ns, What::kEntry);
        EXPECT_TRUE(done);
        return done ? done->cause : Cause{};
    }
    std::uint64_t exits() const
    {
        std::uint64_t sum = 0;
        for (const auto& [of, tally] : attribution_.tallies())
            sum += tally.away_ns.count();
        return sum;
    }

    Attribution attribution_{{{kSender, 1, 1}, {kThread, 2, 2}}};
};

TEST_F(AttributionTest, InstructionOfTheGuestIsTheGuests)
{
    EXPECT_FALSE(at(100, What::kExit, "cpuid"));
    const auto done = at(150, What::kEntry);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->vcpu, 2U);
    EXPECT_EQ(done->from_ns, 100U);
    EXPECT_EQ(done->to_ns, 150U);
    EXPECT_EQ(done->cause, (Cause{Kind::kGuest, "cpuid"}));
    const auto& tally = attribution_.tallies().at({2, done->cause});
    EXPECT_EQ(tally.away_ns.sum(), 50U);
}

TEST_F(AttributionTest, WhatTheVmmDidForItIsNamed)
{
    at(100, What::kExit, "io");
    at(110, What::kToUserspace, "KVM_EXIT_IO");
    EXPECT_EQ(ended(200), (Cause{Kind::kGuest, "io, KVM_EXIT_IO"}));
}

TEST_F(AttributionTest, IpiOfAnotherVcpuHasVectorAndSender)
{
    elsewhere(kSender, What::kIpi, 0xfb);
    elsewhere(kSender, What::kAccept, 2, "", 0xfb);
    forced_exit(100);
    at(101, What::kReschedule);
    at(102, What::kInject, "", 0xfb);
    EXPECT_EQ(ended(110), (Cause{Kind::kGuestIpi, "vector 0xfb by vCPU 1"}));
    // It is not kept: the next one with this vector is another.
    forced_exit(200);
    at(202, What::kInject, "", 0xfb);
    EXPECT_EQ(ended(210), (Cause{Kind::kGuestOther, "vector 0xfb"}));
}

// KVM says that it accepts one just before its bit is set.
TEST_F(AttributionTest, IpiThatIsAcceptedBeforeTheLastOneIsInjectedIsKnown)
{
    for (int i = 0; i < 3; ++i) {
        elsewhere(kSender, What::kIpi, 0xfb);
        elsewhere(kSender, What::kAccept, 2, "", 0xfb);
    }
    // KVM makes one of those that wait.
    for (const Cause& expected :
         {Cause{Kind::kGuestIpi, "vector 0xfb by vCPU 1"},
          Cause{Kind::kGuestIpi, "vector 0xfb by vCPU 1"},
          Cause{Kind::kGuestOther, "vector 0xfb"}}) {
        forced_exit(100);
        at(102, What::kInject, "", 0xfb);
        EXPECT_EQ(ended(110), expected);
    }
}

TEST_F(AttributionTest, DoorbellIsAnIpiToo)
{
    elsewhere(kSender, What::kAccept, 2, "", 0xf5);
    forced_exit(100);
    at(102, What::kInject, "", 0xf5);
    EXPECT_EQ(ended(110), (Cause{Kind::kGuestIpi, "vector 0xf5 by vCPU 1"}));
}

TEST_F(AttributionTest, MsiIsADevices)
{
    elsewhere(kOther, What::kMsi, 0x25, "", 0, "vhost-9");
    elsewhere(kOther, What::kAccept, 2, "", 0x25, "vhost-9");
    forced_exit(100);
    at(102, What::kInject, "", 0x25);
    EXPECT_EQ(ended(110),
              (Cause{Kind::kDevice, "MSI, vector 0x25 by vhost-9"}));
}

TEST_F(AttributionTest, DeviceThatAVcpusThreadEmulatesIsItsVmms)
{
    elsewhere(kSender, What::kMsi, 0x25, "", 0, "qemu");
    elsewhere(kSender, What::kAccept, 2, "", 0x25, "qemu");
    forced_exit(100);
    at(102, What::kInject, "", 0x25);
    EXPECT_EQ(ended(110),
              (Cause{Kind::kDevice, "MSI, vector 0x25 by vCPU 1's VMM"}));
}

TEST_F(AttributionTest, TimerOfTheGuestIsAcceptedInItsOwnThread)
{
    forced_exit(100);
    at(101, What::kLocalTimer);
    at(102, What::kTimerRuns, "apic_timer_fn");
    attribution_.feed(
        {103, kCpu, kThread, What::kAccept, 2, 0xec, "", "", nullptr});
    at(104, What::kInject, "", 0xec);
    const auto done = at(110, What::kEntry);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->cause, (Cause{Kind::kGuestTimer, "APIC timer"}));
    ASSERT_EQ(done->also.size(), 1U);
    EXPECT_EQ(done->also.front(), (Cause{Kind::kGuestTimer, "vector 0xec"}));
}

// What another thread sent from the same CPU before is not what came now.
TEST_F(AttributionTest, TimerIsNotTheMsiOfWhoRanThereBefore)
{
    attribution_.feed(
        {50, kCpu, kOther, What::kMsi, 0x25, 0, "", "vhost-9", nullptr});
    forced_exit(100);
    attribution_.feed(
        {103, kCpu, kThread, What::kAccept, 2, 0xec, "", "", nullptr});
    at(104, What::kInject, "", 0xec);
    EXPECT_EQ(ended(110), (Cause{Kind::kGuestTimer, "vector 0xec"}));
}

TEST_F(AttributionTest, TickOfTheHost)
{
    forced_exit(100);
    at(101, What::kLocalTimer);
    at(102, What::kTimerRuns, "tick_nohz_handler");
    EXPECT_EQ(ended(110), (Cause{Kind::kTimer, "tick_nohz_handler"}));
}

TEST_F(AttributionTest, CallOfTheHostHasFunctionAndSender)
{
    elsewhere(kOther, What::kCallQueued, kCpu, "do_sync_core", 0, "insmod");
    forced_exit(100);
    at(102, What::kCallRuns, "do_sync_core");
    EXPECT_EQ(ended(110), (Cause{Kind::kCall, "do_sync_core by insmod"}));
}

TEST_F(AttributionTest, ReschedulingForNothingThatIsSeenHasItsSender)
{
    elsewhere(kOther, What::kIpiSent, kCpu, "", 0, "rcu_sched");
    forced_exit(100);
    at(101, What::kReschedule);
    EXPECT_EQ(ended(110), (Cause{Kind::kReschedule, "by rcu_sched"}));
}

TEST_F(AttributionTest, WhoRanInsteadIsNamedIfTheVcpuCouldHaveRun)
{
    forced_exit(100);
    at(101, What::kSwitch, "stress", 1);
    EXPECT_EQ(ended(5000), (Cause{Kind::kScheduler, "stress"}));
    // A vCPU that halts gives its CPU away.
    at(6000, What::kExit, "hlt");
    at(6010, What::kSwitch, "swapper/7", 0);
    const auto done = at(9000, What::kEntry);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->cause, (Cause{Kind::kGuest, "hlt"}));
    EXPECT_TRUE(done->also.empty());
}

TEST_F(AttributionTest, MemoryThatWasNotThere)
{
    at(100, What::kExit, "npf");
    at(101, What::kPageFault);
    const auto done = at(110, What::kEntry);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->cause, (Cause{Kind::kPageFault, "npf"}));
    EXPECT_TRUE(done->also.empty());
}

TEST_F(AttributionTest, WhatElseCameMeanwhileIsCounted)
{
    forced_exit(100);
    at(101, What::kIrqWork);
    at(102, What::kDeviceIrq, "nvme0q1");
    at(103, What::kDeviceIrq, "nvme0q1");
    EXPECT_EQ(ended(110), (Cause{Kind::kIrqWork, ""}));
    const Cause also{Kind::kHostDevice, "nvme0q1"};
    EXPECT_EQ(attribution_.tallies().at({2, also}).also, 1U);
    EXPECT_EQ(attribution_.tallies().at({2, also}).away_ns.count(), 0U);
}

TEST_F(AttributionTest, InterruptOfWhichNothingWasSeenIsUnknownAndCounted)
{
    forced_exit(100);
    EXPECT_EQ(ended(110), (Cause{Kind::kUnknown, "interrupt"}));
    EXPECT_EQ(exits(), 1U);
}

TEST_F(AttributionTest, WhatIsNotWholeIsCountedApart)
{
    EXPECT_FALSE(at(50, What::kEntry));
    at(100, What::kExit, "cpuid");
    at(200, What::kExit, "cpuid");
    EXPECT_EQ(attribution_.unseen(), 1U);
    EXPECT_EQ(attribution_.open(), std::set<unsigned>{2});
    ended(210);
    EXPECT_TRUE(attribution_.open().empty());
    EXPECT_EQ(exits(), 1U);
}

const Cause kSyncCore{Kind::kCall, "do_sync_core by insmod"};
const Stack kPoke{"smp_call_function_many_cond", "text_poke_sync"};
const Stack kFinish{"smp_call_function_many_cond", "text_poke_finish"};

TEST_F(AttributionTest, StacksOfWhoSentAreCountedUnderTheirCause)
{
    for (const Stack& from : {kPoke, kFinish, kPoke}) {
        elsewhere(kOther, What::kCallQueued, kCpu, "do_sync_core", 0, "insmod");
        stack(kOther, from);
        forced_exit(100);
        at(102, What::kCallRuns, "do_sync_core");
        EXPECT_EQ(ended(110), kSyncCore);
    }
    EXPECT_EQ(stacks_of(kSyncCore),
              (std::map<Stack, std::uint64_t>{{kPoke, 2}, {kFinish, 1}}));
}

TEST_F(AttributionTest, StackOfWhatCameWhileItWasAwayIsCountedToo)
{
    elsewhere(kOther, What::kIpiSent, kCpu, "", 0, "rcu_sched");
    stack(kOther, {"resched_curr", "try_to_wake_up"});
    at(100, What::kExit, "hlt");
    at(101, What::kReschedule);
    EXPECT_EQ(ended(110), (Cause{Kind::kGuest, "hlt"}));
    EXPECT_EQ(stacks_of({Kind::kReschedule, "by rcu_sched"}).size(), 1U);
}

// An interrupt of the sender sends too, before the sender's stack is written.
TEST_F(AttributionTest, StackIsThatOfTheLastThatHasNone)
{
    elsewhere(kOther, What::kCallQueued, kCpu, "do_sync_core", 0, "insmod");
    elsewhere(kOther, What::kIpiSent, kCpu, "", 0, "insmod");
    stack(kOther, {"resched_curr"});
    stack(kOther, kPoke);
    forced_exit(100);
    at(102, What::kCallRuns, "do_sync_core");
    at(103, What::kReschedule);
    EXPECT_EQ(ended(110), kSyncCore);
    EXPECT_EQ(stacks_of(kSyncCore).count(kPoke), 1U);
    EXPECT_EQ(
        stacks_of({Kind::kReschedule, "by insmod"}).count({"resched_curr"}),
        1U);
}

TEST_F(AttributionTest, StackOfAnotherCpuOrThreadIsNotTheSenders)
{
    elsewhere(kOther, What::kCallQueued, kCpu, "do_sync_core", 0, "insmod");
    stack(kOther, kPoke, kElsewhere + 1);
    stack(kOther + 1, kPoke);
    forced_exit(100);
    at(102, What::kCallRuns, "do_sync_core");
    EXPECT_EQ(ended(110), kSyncCore);
    EXPECT_TRUE(stacks_of(kSyncCore).empty());
}

TEST_F(AttributionTest, StacksThatWereLostDoNotPileUp)
{
    for (int i = 0; i < 100; ++i)
        elsewhere(kOther, What::kIpiSent, kCpu, "", 0, "insmod");
    elsewhere(kOther, What::kCallQueued, kCpu, "do_sync_core", 0, "insmod");
    stack(kOther, kPoke);
    forced_exit(100);
    at(102, What::kCallRuns, "do_sync_core");
    EXPECT_EQ(ended(110), kSyncCore);
    EXPECT_EQ(stacks_of(kSyncCore).count(kPoke), 1U);
}

TEST_F(AttributionTest, WhatIsTakenIsNotCountedAgain)
{
    at(100, What::kExit, "cpuid");
    EXPECT_EQ(ended(150), (Cause{Kind::kGuest, "cpuid"}));
    EXPECT_EQ(attribution_.take().size(), 1U);
    EXPECT_TRUE(attribution_.tallies().empty());
    EXPECT_TRUE(attribution_.take().empty());
}

TEST_F(AttributionTest, OthersThreadsAreNobodys)
{
    elsewhere(kOther, What::kExit, 1, "interrupt");
    elsewhere(kOther, What::kEntry, 0);
    elsewhere(kOther, What::kAccept, 77, "", 0x25);
    EXPECT_TRUE(attribution_.tallies().empty());
}

}  // namespace
}  // namespace ipidefer::blame
