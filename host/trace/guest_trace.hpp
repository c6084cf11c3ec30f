// SPDX-License-Identifier: GPL-2.0-or-later
// Guest trace: text that a guest's ftrace or trace-cmd report wrote, with its
// times as values of the TSC (trace_clock x86-tsc, trace-cmd record -C
// x86-tsc).
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace ipidefer::trace {

struct GuestLine {
    std::uint64_t tsc;  // the guest's
    std::uint32_t cpu;
    std::string task;   // "bash-123"
    std::string event;  // what follows the time
};

/// All lines that are events, by time; comments and other lines are passed
/// over. Throws Failure when no line is an event, or times are in seconds.
[[nodiscard]] std::vector<GuestLine> read_guest_trace(std::istream& in);

}  // namespace ipidefer::trace
