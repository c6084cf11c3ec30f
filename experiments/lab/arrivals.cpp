// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/arrivals.hpp"

#include "experiments/lab/events.hpp"

namespace ipidefer::lab {

Arrivals arrivals(const Snapshot& snapshot, const CpuSet& isolated)
{
    Arrivals all;
    for (const auto& [name, row] : snapshot.interrupts.rows)
        for (const auto& [cpu, taken] : row.taken)
            if (isolated.contains(cpu)) all.interrupts += taken;
    all.events = events_between({}, snapshot);
    return all;
}

}  // namespace ipidefer::lab
