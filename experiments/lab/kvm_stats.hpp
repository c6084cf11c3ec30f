// SPDX-License-Identifier: GPL-2.0-or-later
// What KVM counts of each vCPU: its exits, by reason as far as KVM tells them
// apart. Asking costs the vCPUs no exit.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

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

}  // namespace ipidefer::lab
