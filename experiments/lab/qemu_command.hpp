// SPDX-License-Identifier: GPL-2.0-or-later
// How QEMU is called, and the kernel in it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/lab/mode.hpp"
#include "experiments/lab/options.hpp"

namespace ipidefer::lab {

/// Sockets that the lab listens on and QEMU connects to, below one folder.
inline constexpr char kConsoleSocket[] = "console.sock";
inline constexpr char kGuestSocket[] = "guest.sock";
inline constexpr char kQmpSocket[] = "qmp.sock";

/// As a value of an option: QEMU takes a doubled comma for one.
[[nodiscard]] std::string escaped(const std::string& value);

/// Arguments for a machine that has nothing that was not asked for, and ends
/// where it would reboot.
[[nodiscard]] std::vector<std::string> bare_machine();

/// Of a kernel's command line: CPUs that are left alone as far as Linux can.
[[nodiscard]] std::string isolation(const CpuSet& isolated,
                                    const CpuSet& housekeeping);

[[nodiscard]] std::string kernel_command_line(const Options& options,
                                              Mode mode);

/// What a QEMU has: each with all that comes before it.
enum class IpiDefer {
    kNone,
    kObject,    // the ipi-defer object
    kSegment,   // that can share a segment
    kInKernel,  // and say whether the host's KVM is to decide
};

/// Arguments, without the program. All modes get what this QEMU has, so that
/// they differ in the guest only.
[[nodiscard]] std::vector<std::string> qemu_arguments(
    const Options& options, Mode mode, IpiDefer ipi_defer,
    const std::filesystem::path& initramfs,
    const std::filesystem::path& sockets);

/// Asks the program; throws a Failure when it cannot be run.
[[nodiscard]] IpiDefer ipi_defer_of(const std::filesystem::path& qemu);

/// A command line as a shell would take it.
[[nodiscard]] std::string shell_quoted(const std::vector<std::string>& words);

}  // namespace ipidefer::lab
