// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/counters.hpp"

namespace ipidefer {

bool Counters::get(std::uint32_t row, unsigned typed,
                   ipidefer_counters& out) const noexcept
{
    out = {};
    bool any = false;
    for (unsigned v = IPIDEFER_PASSED + 1; v < IPIDEFER_VERDICTS; ++v) {
        const auto verdict = static_cast<ipidefer_verdict>(v);
        out.verdict[v] = load(line(row, typed).verdict[slot(verdict)]);
        any = any || out.verdict[v] != 0;
    }
    return any;
}

}  // namespace ipidefer
