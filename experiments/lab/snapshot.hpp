// SPDX-License-Identifier: GPL-2.0-or-later
// What guest and VMM say at one moment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/lab/guest_report.hpp"
#include "experiments/lab/kvm_stats.hpp"
#include "experiments/lab/segment_report.hpp"
#include "experiments/lab/verdict_report.hpp"

namespace ipidefer::lab {

/// Nanoseconds -> how many gaps were that long; the greatest number of
/// nanoseconds of a bucket of 1.6 %.
using Gaps = std::map<std::uint64_t, std::uint64_t>;

/// One that was longer than the threshold.
struct ListedGap {
    std::uint64_t start_ns = 0;  // since the loops were marked
    std::uint64_t length_ns = 0;
    /// What the guest's kernel did meanwhile (gap_causes.hpp).
    std::string cause;

    bool operator==(const ListedGap&) const = default;
};

/// How an undisturbed loop fared since it was last marked.
struct LoopReport {
    std::uint64_t interruptions = 0;
    std::uint64_t longest_cycles = 0;
    std::uint64_t longest_ns = 0;
    /// Of its process, as in /proc/PID/stat: 'R', or 'T' for stopped; 0 when it
    /// has ended.
    char state = 'R';
    /// The vCPU that it runs on.
    unsigned runs_on = 0;
    /// How often it gave its vCPU away by itself or was moved, since it began.
    /// No interrupt makes it do that.
    std::uint64_t left = 0;
    /// Between two looks at the TSC; of snapshot B only, until shortly after.
    Gaps gaps{};
    /// The longest of those above the threshold, by time; of B only.
    std::vector<ListedGap> listed{};
    /// How many there were besides, none of which was longer.
    std::uint64_t left_out = 0;
};

/// What KVM in the guest counted of a nested guest since it started.
struct NestedReport {
    std::uint64_t exits = 0;
    std::uint64_t interrupt_exits = 0;
};

struct Snapshot {
    /// Nothing when the kernel has no ipi_defer.
    std::optional<GuestStats> stats;
    /// Typed IPIs that were sent again as they were late, to all vCPUs.
    std::uint64_t resent = 0;
    Interrupts interrupts;
    /// By the names in tracing.hpp; only what this kernel can count.
    std::map<std::string, Histogram> hists;
    std::map<unsigned, LoopReport> loops;
    /// By the vCPU that it runs on; empty without --nested.
    std::map<unsigned, NestedReport> nested;
    /// Nothing when the VMM has no ipi-defer object.
    std::optional<VmmReport> vmm;
    /// As verdict_report.hpp has it.
    bool sees_icr = true;
    /// Nothing when the VMM shares no segment.
    std::optional<SegmentReport> segment;
    /// Nothing without KVM.
    KvmStats kvm;
    /// Nothing without KVM or --pin.
    HostInterrupts host_interrupts;
    /// Nothing typed happened while guest and VMM were asked.
    bool consistent = true;
};

/// A: the loops spin, the workload has not begun. B: it has ended, the loops
/// spin still. C: each loop has made a system call.
struct Snapshots {
    Snapshot a;
    Snapshot b;
    Snapshot c;
};

}  // namespace ipidefer::lab
