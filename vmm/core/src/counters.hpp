// SPDX-License-Identifier: GPL-2.0-or-later
// Counters: verdicts per (target vCPU, typed vector), in memory that others
// may read, or falsify (I7): they are shown, and no decision depends on them.
//
// Ordering: RELAXED throughout. A counter guards no other memory; fetch_add
//   alone makes the sums exact with any number of senders. Readers may run at
//   any time and see each counter at some moment of its own.
//
// Not handled: PASSED, which is not counted.
#ifndef IPIDEFER_COUNTERS_HPP
#define IPIDEFER_COUNTERS_HPP

#include <ipidefer/ipidefer.h>

#include <atomic>
#include <cstdint>

namespace ipidefer {

class Counters final {
  public:
    /// @param lines rows * IPIDEFER_MAX_TYPED of them, zeroed
    /// @param rows  number of targets that are told apart
    Counters(ipidefer_segment_counters* lines, std::uint32_t rows) noexcept
        : rows_{rows}, lines_{lines}
    {
    }

    /// The counters of one target and vector.
    [[nodiscard]] ipidefer_segment_counters& line(std::uint32_t row,
                                                  unsigned typed) const noexcept
    {
        // Vector-major: one IPI to many targets walks neighbouring lines.
        return lines_[std::size_t{typed} * rows_ + row];
    }

    /// @param verdict anything but PASSED
    static void count(ipidefer_segment_counters& line,
                      ipidefer_verdict verdict) noexcept
    {
        add_one(line.verdict[slot(verdict)]);
    }

    /// As if nothing had ever been counted here.
    static void clear(ipidefer_segment_counters& line) noexcept
    {
        // Ordering: RELEASE: after what the caller stored to say that this line
        //   is being cleared; pairs with readers' acquire loads of counters
        //   (host/segment/segment.cpp). On x86 plain stores.
        for (std::uint64_t& verdict : line.verdict)
            std::atomic_ref{verdict}.store(0, std::memory_order_release);
        std::atomic_ref{line.max_age}.store(0, std::memory_order_release);
        std::atomic_ref{line.merged}.store(0, std::memory_order_release);
    }

    /// Recorded work was delivered for its age: no verdict (I1), and counted
    /// apart.
    static void count_expired(ipidefer_segment_counters& line) noexcept
    {
        add_one(line.max_age);
    }

    /// What was delivered shared its interrupt with another: no verdict either.
    static void count_merged(ipidefer_segment_counters& line) noexcept
    {
        add_one(line.merged);
    }

    /// @return false, and zeroes, when no verdict was ever counted
    bool get(std::uint32_t row, unsigned typed,
             ipidefer_counters& out) const noexcept;

    [[nodiscard]] std::uint64_t expired(std::uint32_t row,
                                        unsigned typed) const noexcept
    {
        return load(line(row, typed).max_age);
    }

    [[nodiscard]] std::uint64_t merged(std::uint32_t row,
                                       unsigned typed) const noexcept
    {
        return load(line(row, typed).merged);
    }

  private:
    // Lines of their own, so that targets do not disturb one another.
    static_assert(sizeof(ipidefer_segment_counters) % 64 == 0);
    static_assert(sizeof ipidefer_segment_counters{}.verdict /
                      sizeof(std::uint64_t) ==
                  IPIDEFER_VERDICTS - 1);
    static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

    static void add_one(std::uint64_t& counter) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        std::atomic_ref{counter}.fetch_add(1, std::memory_order_relaxed);
    }

    [[nodiscard]] static std::uint64_t load(std::uint64_t& counter) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        return std::atomic_ref{counter}.load(std::memory_order_relaxed);
    }

    static constexpr std::size_t slot(ipidefer_verdict verdict) noexcept
    {
        return static_cast<std::size_t>(verdict) - 1;
    }

    std::uint32_t rows_;
    ipidefer_segment_counters* lines_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_COUNTERS_HPP
