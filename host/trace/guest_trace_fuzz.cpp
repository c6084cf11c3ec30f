// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's trace of any bytes: each line that is not empty, a comment, or one
// of those that trace-cmd adds is an event, lost events, a frame, or counted.
#include <cstdlib>
#include <sstream>

#include "base/failure.hpp"
#include "host/trace/guest_trace.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    using namespace ipidefer::trace;
    // Half of the inputs begin like an event, or hardly any would be one.
    std::string text =
        size % 2 == 0 ? "              a-1 [001] d.... 5: x: y" : "";
    text.append(reinterpret_cast<const char*>(data), size);
    std::istringstream in{text};
    try {
        const GuestTrace trace = read_guest_trace(in);
        std::size_t lines = 0;
        std::istringstream again{text};
        for (std::string line; std::getline(again, line);) ++lines;
        if (trace.lines.size() + trace.others > lines) std::abort();
        for (std::size_t i = 1; i < trace.lines.size(); ++i)
            if (trace.lines[i].tsc < trace.lines[i - 1].tsc) std::abort();
        if (trace.others != 0 && trace.first_other == 0) std::abort();
    } catch (const ipidefer::Failure&) {
        // Seconds, or latency-format.
    }
    return 0;
}
