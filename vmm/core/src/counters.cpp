// SPDX-License-Identifier: GPL-2.0-or-later
#include "counters.hpp"

#include <new>

namespace ipidefer {

Counters::Counters(std::uint32_t rows) noexcept
    : rows_{rows},
      lines_{new (std::nothrow) Line[std::size_t{rows} * IPIDEFER_MAX_TYPED]{}}
{
}

Counters::~Counters() { delete[] lines_; }

bool Counters::get(std::uint32_t row, unsigned typed,
                   ipidefer_counters& out) const noexcept
{
    out = {};
    bool any = false;
    for (unsigned v = IPIDEFER_PASSED + 1; v < IPIDEFER_VERDICTS; ++v) {
        // Ordering: RELAXED: see the head of counters.hpp.
        out.verdict[v] = line(row, typed)
                             .verdict[slot(static_cast<ipidefer_verdict>(v))]
                             .load(std::memory_order_relaxed);
        any = any || out.verdict[v] != 0;
    }
    return any;
}

}  // namespace ipidefer
