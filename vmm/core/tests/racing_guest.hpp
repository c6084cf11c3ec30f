// SPDX-License-Identifier: GPL-2.0-or-later
// The isolated vCPU of race tests: it enters and leaves its kernel all the
// time, and does what was recorded meanwhile. Senders' changes are plain
// stores, so an ordering that is missing (I5, I6) is a data race that
// ThreadSanitizer reports.
#ifndef IPIDEFER_TESTS_RACING_GUEST_HPP
#define IPIDEFER_TESTS_RACING_GUEST_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "vmm/core/tests/guest_layout.hpp"

namespace ipidefer::test {

/// One kind of work, with the sender's and the target's side of it.
struct Work {
    std::uint64_t change = 0;  // plain, what the ordering must carry
    std::atomic<std::uint64_t> done{0};
    std::atomic<bool> interrupt{false};
};

/// The isolated vCPU: userspace, kernel entry with flush, kernel exit; and the
/// handler of the real interrupt.
class Target {
  public:
    explicit Target(unsigned kinds) : works_(kinds), seen_(kinds, 0) {}

    std::uint32_t& word() { return word_; }
    Work& work(unsigned kind) { return works_[kind]; }
    [[nodiscard]] std::uint64_t bits_seen(unsigned kind) const
    {
        return seen_[kind];
    }

    /// Stays in the kernel during which a work bit appeared (I8): 0.
    [[nodiscard]] std::uint64_t set_in_kernel() const { return set_in_kernel_; }

    /// Until `stop`, and once more, so that nothing recorded stays behind.
    void run(const std::atomic<bool>& stop)
    {
        bool last = false;
        while (!last) {
            // Ordering: ACQUIRE, after which no sender records any more.
            last = stop.load(std::memory_order_acquire);
            std::this_thread::yield();  // userspace
            enter_kernel_and_leave();
        }
    }

  private:
    void enter_kernel_and_leave()
    {
        const std::atomic_ref<std::uint32_t> word{word_};
        // Ordering: ACQ_REL, as the guest's entry atomic is fully ordered;
        //   pairs with the release CAS in context_word.hpp (I5).
        const std::uint32_t entered =
            word.fetch_add(kWatching, std::memory_order_acq_rel);
        for (unsigned k = 0; k < works_.size(); ++k) {
            if ((entered & kFirstWork << k) == 0) continue;
            ++seen_[k];
            flush(works_[k]);
        }
        std::this_thread::yield();  // the rest of the kernel's work
        for (Work& work : works_)
            // Ordering: ACQUIRE pairs with the sender's release in
            // ask_and_wait().
            if (work.interrupt.exchange(false, std::memory_order_acquire))
                flush(work);
        // I9: bits go at kernel exit, when nobody can set them.
        // Ordering: RELEASE, as the guest's exit atomic.
        const std::uint32_t left = word.fetch_sub(
            kWatching + (entered & kWorkMask), std::memory_order_release);
        set_in_kernel_ += ((left ^ entered) & kWorkMask) != 0;
    }

    /// I9: do the work (read the change), then publish.
    static void flush(Work& work)
    {
        const std::uint64_t change = work.change;
        // Ordering: RELEASE pairs with the sender's acquire in ask_and_wait().
        work.done.store(change, std::memory_order_release);
    }

    std::uint32_t word_ = kUser;
    std::vector<Work> works_;
    std::vector<std::uint64_t> seen_;
    std::uint64_t set_in_kernel_ = 0;
};

/// Has as many senders run beside the target, until all of them have ended.
/// @param send (s): what sender s does
template <class Send>
void race(Target& target, unsigned count, Send send)
{
    std::atomic<bool> stop{false};
    std::thread guest{[&] { target.run(stop); }};
    std::vector<std::thread> senders;
    for (unsigned s = 0; s < count; ++s)
        senders.emplace_back([&send, s] { send(s); });
    for (auto& sender : senders) sender.join();
    // Ordering: RELEASE: nothing is sent after this; pairs with run().
    stop.store(true, std::memory_order_release);
    guest.join();
}

/// What became of one sender's requests.
struct Asked {
    std::uint64_t delivered = 0;
    bool lost = false;  // one was not done in time; the sender gave up
};

/// A sender that has a kind of work for itself: asks, and waits until it is
/// done.
/// @param decide (n): the verdict on the n-th request
template <class Decide>
Asked ask_and_wait(Work& work, std::uint64_t rounds, Decide decide)
{
    constexpr auto kPatience = std::chrono::seconds{120};
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    Asked asked;
    for (std::uint64_t n = 1; n <= rounds; ++n) {
        work.change = n;
        if (!ipidefer_suppresses(decide(n))) {
            ++asked.delivered;
            // Ordering: RELEASE: an interrupt carries the change; pairs with
            //   the handler's exchange.
            work.interrupt.store(true, std::memory_order_release);
        }
        // Ordering: ACQUIRE pairs with flush(): the target is done with the
        //   change before we make the next one.
        while (work.done.load(std::memory_order_acquire) != n) {
            if (std::chrono::steady_clock::now() > deadline) {
                asked.lost = true;
                return asked;
            }
            std::this_thread::yield();
        }
    }
    return asked;
}

}  // namespace ipidefer::test

#endif  // IPIDEFER_TESTS_RACING_GUEST_HPP
