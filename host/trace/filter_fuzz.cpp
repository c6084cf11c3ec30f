// SPDX-License-Identifier: GPL-2.0-or-later
// A filter of any text: it is one, or is refused at a column that it has; and
// what it says of an event it says again.
#include <ipidefer/ipidefer.h>

#include <cstdlib>
#include <string_view>

#include "host/trace/filter.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    using namespace ipidefer::trace;
    constexpr std::uint32_t kVcpus = 70;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    Event event;
    event.entry.kind = IPIDEFER_TRACE_VERDICT;
    event.entry.verdict = IPIDEFER_DEFERRED;
    event.entry.cpu = 2;
    event.mask = {0xc, 1};
    try {
        const Filter filter{text, kVcpus};
        const bool matches = filter.matches(event);
        if (matches != filter.matches(event)) std::abort();
        if (Filter{"!(" + std::string{text} + ')', kVcpus}.matches(event) ==
            matches)
            std::abort();
    } catch (const FilterError& error) {
        if (error.column() > size + 3) std::abort();
        (void)error.show(text);
    }
    return 0;
}
