// SPDX-License-Identifier: GPL-2.0-or-later
// One reader takes its lease while another ends its own, again and again: who
// has one is traced when both are done, whatever came between.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "vmm/core/src/trace_leases.hpp"

namespace ipidefer {
namespace {

constexpr std::uint32_t kLeaseRounds = 30'000;
constexpr std::uint32_t kKinds = IPIDEFER_TRACE_ALL;

/// Both are here: spins, since the two must then run at the same moment.
void meet(std::atomic<std::uint32_t>& here, std::uint32_t round)
{
    here.fetch_add(1);
    while (here.load() < 2 * (round + 1)) std::this_thread::yield();
}

TEST(TraceLeasesRace, WhoTakesOneIsTracedWhateverAnotherEnds)
{
    ipidefer_segment_policy words{};
    std::atomic<std::uint32_t> start{0};
    std::atomic<std::uint32_t> done{0};
    std::atomic<std::uint32_t> blind{0};
    // Each round one thread ends the lease of the round before, and the other
    // takes the next.
    ipidefer_lease leases[2]{};
    ASSERT_TRUE(take_lease(words, kKinds, 1, leases[1]));
    const auto run = [&](std::uint32_t who) {
        for (std::uint32_t round = 0; round < kLeaseRounds; ++round) {
            meet(start, round);
            ipidefer_lease& mine = leases[who];
            if (round % 2 == who)
                (void)take_lease(words, kKinds, round + 2, mine);
            else
                end_lease(words, mine);
            meet(done, round);
            if (who == 0 && std::atomic_ref{words.trace}.load() != kKinds)
                blind.fetch_add(1);
        }
    };
    std::thread other{run, 1};
    run(0);
    other.join();
    EXPECT_EQ(blind.load(), 0u);
}

TEST(TraceLeasesRace, TicksBesideReadersLeaveNothingBehind)
{
    constexpr std::uint64_t kHz = 1'000'000'000;
    ipidefer_segment_policy words{};
    TraceLeases leases;
    std::atomic<int> reading{2};
    const auto read = [&](std::uint32_t who) {
        for (std::uint32_t round = 0; round < kLeaseRounds; ++round) {
            ipidefer_lease lease{};
            if (!take_lease(words, who, round + 1, lease)) continue;
            // Ended by a tick, whose clock runs fast here, or not.
            (void)renew_lease(words, lease);
            end_lease(words, lease);
        }
        reading.fetch_sub(1);
    };
    std::thread one{read, IPIDEFER_TRACE_SEND};
    std::thread two{read, IPIDEFER_TRACE_VERDICT};
    for (std::uint64_t now = 1; reading.load() != 0; now += kHz)
        leases.tick(words, now, kHz);
    one.join();
    two.join();
    leases.tick(words, 1, kHz);
    EXPECT_EQ(words.trace, 0u);
    for (const std::uint64_t lease : words.lease) EXPECT_EQ(lease, 0u);
}

}  // namespace
}  // namespace ipidefer
