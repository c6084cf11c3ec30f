// SPDX-License-Identifier: GPL-2.0-or-later
// Trace reader: events from the ring of a running VM, in order, each once, and
// how many were missed. Without new events it reads one word. It never writes,
// so any number of readers may look, and none disturbs the VM. Torn entries are
// told by their sequence numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "host/segment/segment.hpp"

namespace ipidefer::segment {

/// One event, checked for nothing: it may hold nonsense.
struct Event {
    std::uint64_t number = 0;
    ipidefer_trace_entry entry{};
    std::vector<std::uint64_t> mask;  // of a send: mask_words() words
};

class TraceReader final {
  public:
    enum class From { kOldest, kNow };

    /// @param segment outlives this
    TraceReader(const Segment& segment, From from);

    /// What has come since the last call, at most a ring full.
    /// @param lost how many events were overwritten before they were read, or
    ///             dropped by the VM; added to
    [[nodiscard]] std::vector<Event> read(std::uint64_t& lost);

  private:
    enum class Fate { kRead, kNotYet, kMissed };

    /// A gap of one event, with later ones behind it, is given up after this
    /// many calls: its writer has dropped it, or sleeps.
    static constexpr int kPatience = 3;

    [[nodiscard]] Fate try_read(Event& event) const;
    /// Is any event behind the next one complete, below `end`?
    [[nodiscard]] bool later_event(std::uint64_t end) const;
    [[nodiscard]] const std::uint64_t& seq_of(
        std::uint64_t number) const noexcept;

    const Segment* segment_;
    std::uint64_t entries_;
    std::uint64_t next_ = 0;
    int waited_ = 0;
};

}  // namespace ipidefer::segment
