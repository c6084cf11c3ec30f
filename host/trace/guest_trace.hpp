// SPDX-License-Identifier: GPL-2.0-or-later
// Guest trace: text that a guest's ftrace or trace-cmd report wrote, with its
// times as values of the TSC (trace_clock x86-tsc, trace-cmd record -C
// x86-tsc).
//
//          bash-123     [001] d..1. 1234567: sched_switch: prev=...
//    CPU:1 [LOST 12 EVENTS]
//     => schedule                 (a frame of the stack of the event before)
//
// A task's name may be any 15 bytes, also such that look like what follows it.
//
// Not handled: latency-format, which has no place for a TSC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace ipidefer::trace {

struct GuestLine {
    std::uint64_t tsc;  // the guest's
    std::uint32_t cpu;
    std::string task;   // "bash-123"; empty: this is about lost events
    std::string event;  // what follows the time, and its stack
};

struct GuestTrace {
    std::vector<GuestLine> lines;  // by time
    std::uint64_t lost = 0;        // by the guest; where it says how many
    /// Lines that are neither an event, nor lost events, nor a frame, nor a
    /// comment; and the first of them.
    std::uint64_t others = 0;
    std::uint64_t first_other = 0;  // line number, from 1
    std::string first_other_text;   // its beginning
};

/// Most events of one trace, and bytes of one of its lines.
inline constexpr std::size_t kMostGuestLines = 4'000'000;
inline constexpr std::size_t kLongestGuestLine = 64 * 1024;

/// Nothing that is in there is passed over uncounted. Throws Failure when times
/// are in seconds, the format is latency-format, or a limit is exceeded.
[[nodiscard]] GuestTrace read_guest_trace(std::istream& in);

/// How a trace has to be recorded, for a message.
[[nodiscard]] std::string guest_trace_remedy();

}  // namespace ipidefer::trace
