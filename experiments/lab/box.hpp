// SPDX-License-Identifier: GPL-2.0-or-later
// The box: a Linux that is a KVM host, under TCG, whose processors have an
// emulated SVM. Where there is no KVM, or one that boots no Linux, it has what
// runs under KVM for everything that counts. Its files are this machine's, and
// what it writes is gone afterwards, but for the folders that it shares.
// box-init.sh is its first program.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/cpulist.hpp"

namespace ipidefer::lab {

/// In the box: how much time its threads are given, as copy_thread_times() has
/// it. Its own kernel does not know.
inline constexpr char kBoxHostTimes[] = "/run/box/host";

struct BoxSpec {
    std::filesystem::path qemu;
    /// The bzImage; in modules/ beside it are KVM's modules.
    std::filesystem::path kernel;
    unsigned cpus = 4;
    /// As an operator isolates what his guests' isolated vCPUs run on.
    CpuSet isolated;
    std::string memory = "6G";
    std::string append;
    /// Absolute.
    std::vector<std::filesystem::path> shares;
    /// Where its console goes; empty: to a file that is only shown when it
    /// fails.
    std::filesystem::path console;
    /// How long it may take until it can obey.
    std::chrono::seconds timeout{180};
    /// Run with this environment, in this folder. Empty: a shell, with our
    /// terminal.
    std::vector<std::string> command;
};

/// The command's output is ours.
/// @return its exit status, or 128 and the number of the signal that ended us
/// Throws Failure where the box has not come so far.
[[nodiscard]] int run_in_box(const BoxSpec& spec);

/// What runs our own command in the box, where KVM need not be looked for.
/// @param command our argv
[[nodiscard]] std::vector<std::string> our_command_in_box(
    const std::vector<std::string>& command);

/// QEMU's arguments for it.
/// @param job the folder that box-init.sh obeys
[[nodiscard]] std::vector<std::string> box_arguments(
    const BoxSpec& spec, const std::filesystem::path& init,
    const std::filesystem::path& job);

/// The kernel's command line.
[[nodiscard]] std::string box_kernel_command_line(
    const BoxSpec& spec, const std::filesystem::path& init);

}  // namespace ipidefer::lab
