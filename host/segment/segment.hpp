// SPDX-License-Identifier: GPL-2.0-or-later
// Segment: what a VM shows of itself, read from memory that is not to be
// trusted. Everything is checked against the size of the memory before it is
// used, once, on a copy: whoever can write the segment may change it at any
// time, and at worst makes it show something else.
//
// Not handled: finding and mapping it (open.hpp), the trace (trace_reader.hpp),
// changing the policy (policy.hpp).
#pragma once

#include <ipidefer/segment.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/segment/sequence.hpp"
#include "vmm/terms/verdict_counts.hpp"

namespace ipidefer::segment {

struct Identity {
    std::string name;
    std::string producer;
    std::uint64_t pid = 0;
    std::uint64_t pid_ns = 0;
};

struct Clock {
    ipidefer_clock_sample sample{};
    std::uint64_t tsc_hz = 0;  // 0: not known
    std::optional<std::int64_t> guest_tsc_offset;

    /// CLOCK_MONOTONIC in nanoseconds at a moment of the TSC; nothing when
    /// the frequency is not known.
    [[nodiscard]] std::optional<std::int64_t> monotonic_ns(
        std::uint64_t tsc) const noexcept;
    /// Nanoseconds from `tsc` to `now`, at least 0; nothing when the frequency
    /// is not known.
    [[nodiscard]] std::optional<std::uint64_t> age_ns(
        std::uint64_t tsc, std::uint64_t now) const noexcept;
};

class Segment final {
  public:
    /// @param memory stays valid, and mapped, as long as this is used
    /// Throws Failure, naming what is wrong, for what is no segment.
    Segment(const void* memory, std::size_t bytes);

    [[nodiscard]] std::uint32_t vcpus() const noexcept { return at_.vcpus; }
    [[nodiscard]] Identity identity() const;
    /// enum ipidefer_segment_state, or anything else.
    [[nodiscard]] std::uint32_t state() const noexcept;
    /// Throws Failure when it is rewritten all the time.
    [[nodiscard]] Clock clock() const;

    /// Vectors that have counters, in the order of these; 0: none just now.
    [[nodiscard]] std::vector<std::uint8_t> typed() const;
    /// Zeroes when the counters are those of another vector by now.
    /// @param typed  index, below typed().size()
    /// @param vector typed()[typed]
    /// @param target 0..vcpus(); the last stands for all that are out of range
    [[nodiscard]] terms::VerdictCounts counters(std::size_t typed,
                                                std::uint8_t vector,
                                                std::uint32_t target) const;
    /// The bound words of a vCPU. Throws Failure when it is rewritten all the
    /// time.
    [[nodiscard]] std::vector<ipidefer_segment_slot> view(
        std::uint32_t vcpu) const;

    [[nodiscard]] const ipidefer_segment_policy& policy() const noexcept;

    [[nodiscard]] std::uint32_t ring_entries() const noexcept
    {
        return at_.ring_entries;
    }
    /// @param index below ring_entries(). With mask_words() words behind it.
    [[nodiscard]] const ipidefer_trace_entry& ring_entry(
        std::uint64_t index) const noexcept;
    [[nodiscard]] std::uint32_t mask_words() const noexcept
    {
        return (at_.vcpus + 63) / 64;
    }
    [[nodiscard]] std::uint64_t trace_dropped() const noexcept;
    /// Number of the next event, as the VM says.
    [[nodiscard]] std::uint64_t trace_next() const noexcept;

  private:
    /// The parts of the header that are believed, once checked.
    struct Layout {
        std::uint32_t vcpus;
        std::uint32_t ring_entries;
        std::uint32_t ring_entry_bytes;
        std::uint64_t policy;
        std::uint64_t counters;
        std::uint64_t view;
        std::uint64_t ring;
    };

    [[nodiscard]] static Layout check(const std::byte* memory,
                                      std::size_t bytes);
    template <class Part>
    [[nodiscard]] const Part* part(std::uint64_t offset) const noexcept
    {
        return reinterpret_cast<const Part*>(memory_ + offset);
    }
    [[nodiscard]] const ipidefer_segment& header() const noexcept
    {
        return *part<ipidefer_segment>(0);
    }

    const std::byte* memory_;
    Layout at_;
};

}  // namespace ipidefer::segment
