// SPDX-License-Identifier: GPL-2.0-or-later
// `ipidefer bench kvm`: what IPIs cost a loop in ring 3 and their sender, on
// real /dev/kvm exits. ipidefer-vmm runs its guest's bench scenario, which
// marks where phases begin and end; here its counts become ratios of paired
// runs.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ipidefer::bench {

struct BenchKvmOptions {
    unsigned rounds = 10;
    unsigned window = 500;  // of a phase, millions of TSC ticks
    std::string pin;   // sender's and loop's host CPU; empty: the first two
    std::string json;  // "-": standard output; empty: none
};

void add_options(CLI::App& app, BenchKvmOptions& options);

/// Throws a Failure that names the option, its value and the limit.
void check_options(const BenchKvmOptions& options);

/// One phase of one round.
struct BenchPhase {
    std::uint64_t ns = 0;
    std::uint64_t sent = 0;
    std::uint64_t loops = 0;
    /// Of the isolated vCPU: to the VMM, and by KVM's own count, which includes
    /// those for the host's interrupts.
    std::uint64_t returns = 0;
    std::uint64_t exits = 0;
};

struct BenchRound {
    BenchPhase quiet, delivered, deferred;
};

/// The VMM's report, which is an object. Throws a Failure for others.
[[nodiscard]] nlohmann::json read_vmm_report(std::string_view text);

/// From the guest's lines and the VMM's report. Throws a Failure for others.
[[nodiscard]] std::vector<BenchRound> bench_rounds(
    std::string_view console, const nlohmann::json& vmm_report);

/// With medians and spread of the ratios.
[[nodiscard]] nlohmann::json bench_json(const std::vector<BenchRound>& rounds,
                                        const nlohmann::json& vmm_report);
[[nodiscard]] std::string bench_table(const nlohmann::json& report);

/// Runs it, prints the table, returns the exit status.
[[nodiscard]] int bench_kvm(const std::filesystem::path& vmm,
                            const std::filesystem::path& guest,
                            const BenchKvmOptions& options);

}  // namespace ipidefer::bench
