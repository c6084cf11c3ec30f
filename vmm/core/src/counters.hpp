// SPDX-License-Identifier: GPL-2.0-or-later
// Counters: verdicts per (target vCPU, typed vector).
//
// Ordering: RELAXED throughout. A counter guards no other memory; fetch_add
//   alone makes the sums exact with any number of senders. Readers may run at
//   any time and see each counter at some moment of its own.
//
// Not handled: PASSED, which is not counted.
#ifndef IPIDEFER_COUNTERS_HPP
#define IPIDEFER_COUNTERS_HPP

#include <ipidefer/ipidefer.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace ipidefer {

class Counters final {
  public:
    /// Allocates; `allocated()` says whether that worked.
    /// @param rows number of targets that are told apart
    explicit Counters(std::uint32_t rows) noexcept;
    ~Counters();
    Counters(const Counters&) = delete;
    Counters& operator=(const Counters&) = delete;

    [[nodiscard]] bool allocated() const noexcept { return lines_ != nullptr; }

    /// @param verdict anything but PASSED
    void count(std::uint32_t row, unsigned typed,
               ipidefer_verdict verdict) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        line(row, typed)
            .verdict[slot(verdict)]
            .fetch_add(1, std::memory_order_relaxed);
    }

    /// @return false, and zeroes, when nothing was ever counted
    bool get(std::uint32_t row, unsigned typed,
             ipidefer_counters& out) const noexcept;

  private:
    static constexpr unsigned kCounted = IPIDEFER_VERDICTS - 1;

    /// One cache line, so that targets do not disturb one another.
    struct alignas(64) Line {
        std::array<std::atomic<std::uint64_t>, kCounted> verdict;
    };
    static_assert(sizeof(Line) == 64);
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

    static constexpr std::size_t slot(ipidefer_verdict verdict) noexcept
    {
        return static_cast<std::size_t>(verdict) - 1;
    }

    /// Vector-major: one IPI to many targets walks neighbouring lines.
    [[nodiscard]] Line& line(std::uint32_t row, unsigned typed) const noexcept
    {
        return lines_[std::size_t{typed} * rows_ + row];
    }

    std::uint32_t rows_;
    Line* lines_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_COUNTERS_HPP
