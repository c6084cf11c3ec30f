// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/inbox.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ipidefer::vmm {
namespace {

std::vector<unsigned> fixed(Inbox& inbox)
{
    std::vector<unsigned> vectors;
    inbox.take_fixed([&](std::uint8_t vector) { vectors.push_back(vector); });
    return vectors;
}

TEST(Inbox, FixedInterruptsAreTakenOnce)
{
    Inbox inbox;
    inbox.post_fixed(0x20);
    inbox.post_fixed(0xff);
    inbox.post_fixed(0x20);
    EXPECT_EQ(fixed(inbox), (std::vector<unsigned>{0x20, 0xff}));
    EXPECT_TRUE(fixed(inbox).empty());
}

TEST(Inbox, SipiAfterInitComesWithIt)
{
    Inbox inbox;
    inbox.post_init();
    inbox.post_sipi(0x9a);
    inbox.post_sipi(0x11);
    const auto events = inbox.take_events();
    EXPECT_TRUE(events.init);
    EXPECT_EQ(events.sipi, 0x9a) << "the second one is ignored";
    EXPECT_FALSE(inbox.take_events().init);
}

TEST(Inbox, InitForgetsAnEarlierSipiButNotAnNmi)
{
    Inbox inbox;
    inbox.post_nmi();
    inbox.post_sipi(0x08);
    inbox.post_init();
    const auto events = inbox.take_events();
    EXPECT_TRUE(events.init);
    EXPECT_TRUE(events.nmi);
    EXPECT_FALSE(events.sipi);
}

TEST(Inbox, NothingIsLostBetweenManySendersAndOneReceiver)
{
    constexpr unsigned kSenders = 4;
    Inbox inbox;
    std::atomic<unsigned> left{kSenders};
    std::vector<std::thread> senders;
    for (unsigned s = 0; s < kSenders; ++s)
        senders.emplace_back([&inbox, &left, s] {
            for (unsigned i = 0; i < 56; ++i)
                inbox.post_fixed(static_cast<std::uint8_t>(32 + 56 * s + i));
            --left;
        });
    std::vector<unsigned> times(256);
    const auto take = [&] {
        inbox.take_fixed([&](std::uint8_t vector) { ++times[vector]; });
    };
    while (left.load() != 0) take();
    for (auto& sender : senders) sender.join();
    take();
    for (unsigned v = 32; v < 256; ++v) EXPECT_EQ(times[v], 1u) << v;
}

/// Under ThreadSanitizer; a weaker order shows there, and not on x86.
TEST(Inbox, WhatASenderStoredIsSeen)
{
    constexpr unsigned kRounds = 2000;
    constexpr std::uint8_t kThere = 0xf5;
    Inbox there, back;
    unsigned letter = 0;
    const auto taken = [](Inbox& inbox) {
        bool some = false;
        inbox.take_fixed([&](std::uint8_t) { some = true; });
        return some;
    };
    std::thread sender{[&] {
        for (unsigned i = 1; i <= kRounds; ++i) {
            letter = i;
            there.post_fixed(kThere);
            while (!taken(back)) std::this_thread::yield();
        }
    }};
    for (unsigned i = 1; i <= kRounds; ++i) {
        while (!taken(there)) std::this_thread::yield();
        EXPECT_EQ(letter, i);
        back.post_fixed(kThere);
    }
    sender.join();
}

}  // namespace
}  // namespace ipidefer::vmm
