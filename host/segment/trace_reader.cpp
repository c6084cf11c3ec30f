// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/trace_reader.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace ipidefer::segment {
namespace {

using Words = std::array<std::uint64_t,
                         sizeof(ipidefer_trace_entry) / sizeof(std::uint64_t)>;

constexpr std::uint64_t complete(std::uint64_t number) noexcept
{
    return 2 * number + 2;
}

}  // namespace

TraceReader::TraceReader(const Segment& segment, From from)
    : segment_{&segment}, entries_{segment.ring_entries()}
{
    const std::uint64_t newest = segment.trace_next();
    next_ = from == From::kNow  ? newest
            : newest > entries_ ? newest - entries_
                                : 0;
}

std::vector<Event> TraceReader::read(std::uint64_t& lost)
{
    std::vector<Event> events;
    // Bounded, whatever the ring says: a ring full of events or of gaps.
    std::uint64_t end = 0;
    for (std::uint64_t steps = 0; steps < entries_; ++steps) {
        // This one word, when there is nothing new.
        if (next_ >= end) end = segment_->trace_next();
        if (next_ >= end) return events;
        Event event;
        switch (try_read(event)) {
            case Fate::kRead:
                events.push_back(std::move(event));
                ++next_;
                waited_ = 0;
                continue;
            case Fate::kNotYet:
                if (!later_event(end) || ++waited_ < kPatience) return events;
                ++lost;
                ++next_;
                waited_ = 0;
                continue;
            case Fate::kMissed: {
                // Some way ahead of the writers, or the next is missed too.
                end = segment_->trace_next();
                const std::uint64_t ahead = entries_ - entries_ / 4;
                const std::uint64_t to =
                    std::max(next_ + 1, end > ahead ? end - ahead : 0);
                lost += to - next_;
                next_ = to;
                waited_ = 0;
                continue;
            }
        }
    }
    return events;
}

TraceReader::Fate TraceReader::try_read(Event& event) const
{
    const std::uint64_t& seq = seq_of(next_);
    const std::uint64_t before = load(seq);
    if (before < complete(next_)) return Fate::kNotYet;
    if (before > complete(next_)) return Fate::kMissed;
    event.number = next_;
    event.mask.resize(segment_->mask_words());
    const bool whole = copied_whole(seq, before, [&] {
        // Word by word: the writer may be at it again.
        const std::uint64_t* from = &seq;
        Words words;
        for (std::size_t i = 0; i < words.size(); ++i) words[i] = load(from[i]);
        event.entry = std::bit_cast<ipidefer_trace_entry>(words);
        for (std::size_t i = 0; i < event.mask.size(); ++i)
            event.mask[i] = load(from[words.size() + i]);
    });
    return whole ? Fate::kRead : Fate::kMissed;
}

bool TraceReader::later_event(std::uint64_t end) const
{
    // Mostly a few; a ring full at most, whatever the VM says.
    for (std::uint64_t i = 1; i < entries_ && next_ + i < end; ++i)
        if (load(seq_of(next_ + i)) >= complete(next_ + i)) return true;
    return false;
}

const std::uint64_t& TraceReader::seq_of(std::uint64_t number) const noexcept
{
    return segment_->ring_entry(number & (entries_ - 1)).seq;
}

}  // namespace ipidefer::segment
