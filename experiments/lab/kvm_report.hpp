// SPDX-License-Identifier: GPL-2.0-or-later
// `ipidefer lab kvm-report`: what an owner of hardware runs to show what
// deferral does on it, and can send: one archive with facts on the host, the
// lab's tables and the costs.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/lab/options.hpp"

namespace ipidefer::lab {

/// Most rounds of `ipidefer bench kvm`, which the report is made with, too.
inline constexpr unsigned kMostBenchRounds = 500;

/// As on the command line.
struct KvmReportOptions {
    std::string output = "ipidefer-kvm-report.tar.gz";
    std::string qemu;
    std::string kernel;
    std::string workload = "mixed";
    std::string pin;
    unsigned rounds = 10;
};

void add_kvm_report_options(CLI::App& app, KvmReportOptions& options);

/// What its runs of the lab are told. Throws a Failure that names the option,
/// its value and the limit.
[[nodiscard]] Options check_kvm_report_options(
    const KvmReportOptions& options,
    const std::filesystem::path& guest_programs);

/// @param command our own command line, for the box
/// @return the exit status: that of the worst step
/// Throws a Failure.
[[nodiscard]] int kvm_report(const KvmReportOptions& options,
                             const std::filesystem::path& guest_programs,
                             const std::vector<std::string>& command);

}  // namespace ipidefer::lab
