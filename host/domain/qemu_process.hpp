// SPDX-License-Identifier: GPL-2.0-or-later
// QEMU process: which one runs a libvirt domain. libvirt's API does not tell,
// but its QEMU driver writes a PID file for each domain that runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ipidefer::domain {

/// The system's libvirt (qemu:///system) has PID files here.
inline constexpr const char* kPidFiles = "/run/libvirt/qemu";

/// The PID file of a domain, whether there is one or not. Throws Failure for
/// what cannot be a domain's name.
[[nodiscard]] std::filesystem::path pid_file(
    const std::string& name, const std::filesystem::path& folder = kPidFiles);

/// @param name of a domain, no UUID
/// @return nothing when there is no such PID file
/// Throws Failure for a file that cannot be read or says no PID, and for a
/// process that is not this domain's: the file is then a leftover.
[[nodiscard]] std::optional<int> qemu_process(
    const std::string& name, const std::filesystem::path& folder = kPidFiles,
    const std::filesystem::path& proc = "/proc");

}  // namespace ipidefer::domain
