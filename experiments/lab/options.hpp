// SPDX-License-Identifier: GPL-2.0-or-later
// What `ipidefer lab run` can be told.
#pragma once

#include <ipidefer/shm.h>

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cpulist.hpp"
#include "experiments/lab/mode.hpp"
#include "experiments/report/factors.hpp"

namespace ipidefer::lab {

using report::Factors;

enum class Accel { kTcg, kKvm };

[[nodiscard]] constexpr const char* name(Accel accel) noexcept
{
    switch (accel) {
        case Accel::kTcg:
            return "tcg";
        case Accel::kKvm:
            return "kvm";
    }
    return "?";
}

/// As on the command line.
struct RawOptions {
    std::optional<std::string> modes;  // none: all that are possible
    unsigned cpus = 4;
    std::string isolated = "2-3";
    std::string memory = "512M";
    std::string accel = "auto";
    std::string irqchip = "on";
    std::string pin;
    std::string qemu;
    std::string kernel;
    std::string initrd;
    std::string append;
    std::string modules;
    std::string overlay;
    std::vector<std::string> workloads;
    std::string name;
    std::filesystem::path shm_folder;  // empty: the default
    std::string json;
    std::string html;
    std::string keep_logs;
    unsigned timeout = 120;
    unsigned retries = 0;
    unsigned repeat = 1;
    std::optional<std::uint64_t> seed;  // none: any
    std::vector<std::string> sweep;     // NAME=VALUE,VALUE
    bool list_workloads = false;
    bool nested = false;
};

struct Workload {
    std::string name;
    std::filesystem::path script;
};

/// Checked, and with all defaults filled in.
struct Options {
    std::vector<Mode> modes;
    unsigned cpus = 0;
    CpuSet isolated;
    CpuSet housekeeping;
    std::string memory;
    Accel accel = Accel::kTcg;
    std::string irqchip = "on";  // of KVM
    /// Host CPUs of the isolated vCPUs, in their order; empty: any.
    std::vector<unsigned> pin;
    std::filesystem::path qemu;
    std::filesystem::path kernel;  // the bzImage
    std::optional<std::filesystem::path> initrd;
    std::optional<std::filesystem::path> modules;
    std::optional<std::filesystem::path> overlay;
    std::string append;
    std::vector<Workload> workloads;
    std::string name;                  // of the VM, for the host tools
    std::filesystem::path shm_folder;  // empty: the default
    std::string json;                  // "-": standard output; empty: none
    std::string html;                  // the same
    std::optional<std::filesystem::path> keep_logs;
    unsigned timeout = 0;  // seconds without a sign of life from a guest
    unsigned retries = 0;  // of a mode that the host starved
    unsigned repeat = 1;
    std::uint64_t seed = 0;            // of the order of repetitions
    bool nested = false;               // nested guests in place of the loops
    Factors factors;                   // of a sweep
    std::optional<std::size_t> point;  // of a sweep, from 1 on
    std::filesystem::path guest_programs;
    std::filesystem::path busybox;
};

void add_options(CLI::App& app, RawOptions& raw);

/// Throws a Failure that names the option, its value and the limit.
/// `guest_programs` is where lab-agent and workloads/ lie.
[[nodiscard]] Options check_options(
    const RawOptions& raw, const std::filesystem::path& guest_programs);

/// NR_CPUS of the lab's kernel.
inline constexpr unsigned kMostGuestCpus = 64;

/// --qemu and --kernel, which the lab's commands have in common.
void add_qemu_and_kernel(CLI::App& app, std::string& qemu, std::string& kernel);

// Values that other commands of the lab have as well, checked, from the
// environment where they are not given. Throw a Failure.
/// CPUs of so many that are to be isolated; never 0.
[[nodiscard]] CpuSet check_isolated(const std::string& text, unsigned cpus);
[[nodiscard]] std::filesystem::path check_folder(
    const std::string& option, const std::filesystem::path& path);
[[nodiscard]] std::filesystem::path check_qemu(const std::string& given);
/// @return the bzImage
[[nodiscard]] std::filesystem::path check_kernel(const std::string& given);
[[nodiscard]] unsigned check_timeout(unsigned seconds);

/// Names of the built-in workloads.
[[nodiscard]] std::vector<std::string> built_in_workloads(
    const std::filesystem::path& guest_programs);

}  // namespace ipidefer::lab
