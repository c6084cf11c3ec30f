// SPDX-License-Identifier: GPL-2.0-or-later
// What came of one workload in one mode, and of all of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/cpulist.hpp"
#include "experiments/lab/mode.hpp"
#include "experiments/lab/plan.hpp"
#include "experiments/lab/snapshot.hpp"

namespace ipidefer::lab {

/// What a nested guest went through.
struct NestedRun {
    std::uint64_t exits = 0;
    /// Of these, those that an interrupt of its vCPU forced.
    std::uint64_t interrupt_exits = 0;
    /// What context tracking said of the vCPU, at A and at B: "guest", "user",
    /// "idle", "kernel", or "?" where the kernel does not tell.
    std::string before;
    std::string after;
};

struct Run {
    Mode mode = Mode::kOff;
    Turn turn{};
    std::string workload;
    /// What ran the guest, as in kvm_probe.hpp.
    std::string accelerator;
    CpuSet isolated;
    /// What the guest says it runs as; nothing when it has no ipi_defer.
    std::optional<Mode> guest_mode;
    /// Callback or typed work -> events aimed at isolated vCPUs.
    std::map<std::string, std::uint64_t> events;
    /// Row of /proc/interrupts -> taken on isolated vCPUs.
    std::map<std::string, std::uint64_t> interrupts;
    /// Row -> what the kernel calls it.
    std::map<std::string, std::string> descriptions;
    /// Typed IPIs that were sent again as they were late, to any vCPU.
    std::uint64_t resent = 0;
    std::map<unsigned, LoopReport> loops;
    /// Of the nested guest on each isolated vCPU; empty without --nested.
    std::map<unsigned, NestedRun> nested;
    /// Vector -> verdicts for isolated vCPUs; nothing without the object.
    std::optional<std::map<unsigned, terms::VerdictCounts>> verdicts;
    /// Vector -> deliveries to isolated vCPUs that found it pending; no entry
    /// where the VMM does not count them.
    std::map<unsigned, std::uint64_t> merged;
    /// As verdict_report.hpp has it.
    bool sees_icr = true;
    /// Of each vCPU; empty without KVM.
    KvmStats kvm;
    /// Of each isolated vCPU; empty without KVM or --pin.
    HostInterrupts host_interrupts;
    std::vector<std::string> disagreements;
    std::chrono::milliseconds took{};
};

/// Runs that are compared with each other: of one workload at one point.
[[nodiscard]] std::string group_of(const Run& run);

/// Everything from A to B, and what A to C says about it.
[[nodiscard]] Run evaluate(Mode mode, const std::string& workload,
                           const CpuSet& isolated, const Snapshots& at);

/// One boot.
struct Guest {
    Mode mode = Mode::kOff;
    Turn turn{};
    std::string release;
    std::string version;
    std::string kernel_command_line;
    std::string qemu_version;
    std::vector<std::string> qemu_command_line;
    std::vector<std::string> messages;  // of the kernel, on ipi_defer
    std::vector<std::string> missing;   // that the lab would have liked
};

/// A run that had to be given up.
struct GivenUp {
    Mode mode = Mode::kOff;
    std::string reason;
    std::string console;
    Turn turn{};
};

/// An attempt without a verdict, as the host did not let the guest run.
struct Starved {
    Mode mode = Mode::kOff;
    std::string thread;
    std::chrono::milliseconds lost{};
    std::string reason;
    bool retried = false;
    Turn turn{};
};

struct Report {
    std::vector<Guest> guests;
    std::vector<Run> runs;
    std::vector<Starved> starved;
    std::optional<GivenUp> given_up;
    /// Nothing without --repeat.
    std::optional<Repetitions> repetitions;
    /// All points of a sweep; empty without one.
    std::vector<Factors> sweep;
    nlohmann::json provenance;
};

}  // namespace ipidefer::lab
