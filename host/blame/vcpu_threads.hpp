// SPDX-License-Identifier: GPL-2.0-or-later
// The threads of a process that run vCPUs.
#pragma once

#include <filesystem>
#include <vector>

#include "host/blame/attribution.hpp"

namespace ipidefer::blame {

/// As KVM says (vcpuN/pid below its folder of the VM in debugfs, Linux 6.1), or
/// else by the names that QEMU gives its threads, "CPU 2/KVM". APIC IDs are the
/// numbers of KVM's vCPUs.
/// @param debugfs KVM's folder, /sys/kernel/debug/kvm
/// @param proc /proc
/// @return by vCPU, in order
/// Throws Failure when there is no such process, or it runs no vCPU.
[[nodiscard]] std::vector<Thread> vcpu_threads(
    int pid, const std::filesystem::path& debugfs = "/sys/kernel/debug/kvm",
    const std::filesystem::path& proc = "/proc");

}  // namespace ipidefer::blame
