// SPDX-License-Identifier: GPL-2.0-or-later
// What KVM counts of each vCPU: its exits, by reason as far as KVM tells them
// apart. Asking costs the vCPUs no exit. And what explains some of them.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpulist.hpp"
#include "experiments/lab/guest_report.hpp"

namespace ipidefer::lab {

/// Name of the statistic, as in KVM's kvm_stats_desc, -> since the vCPU began.
using VcpuStats = std::map<std::string, std::uint64_t>;
/// By vCPU.
using KvmStats = std::map<unsigned, VcpuStats>;

/// @param cpus what query-cpus-fast says
/// @param stats what query-stats says of the target vcpu; an empty array
///   without KVM
[[nodiscard]] KvmStats parse_kvm_stats(const nlohmann::json& cpus,
                                       const nlohmann::json& stats);

/// What was counted in between.
[[nodiscard]] KvmStats since(const KvmStats& before, const KvmStats& after);

/// Is it a count of exits: "exits", "irq_exits", ...?
[[nodiscard]] bool counts_exits(std::string_view name);

/// By vCPU.
using HostInterrupts = std::map<unsigned, std::uint64_t>;

/// What their host CPUs were interrupted with since the host booted, each of
/// which is an exit when it comes to a vCPU that runs: devices, ticks, calls.
/// Without what KVM itself sends a CPU for its vCPU's sake, which is what exits
/// are counted for.
/// @param pins the host CPUs of the isolated vCPUs, in their order; may be
///   empty
[[nodiscard]] HostInterrupts host_interrupts(const Interrupts& of_host,
                                             const CpuSet& isolated,
                                             const std::vector<unsigned>& pins);

}  // namespace ipidefer::lab
