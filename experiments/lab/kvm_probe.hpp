// SPDX-License-Identifier: GPL-2.0-or-later
// What this machine's KVM is: one that boots Linux, or one that does not, as
// where ring 0 is emulated. And whether it is the box's.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/lab/options.hpp"

namespace ipidefer::lab {

/// Whoever has looked already says "whole" in it, or "box": that there is none.
inline constexpr char kKvmVariable[] = "IPIDEFER_KVM";

/// Boots a kernel under KVM, for some seconds where there is a KVM that cannot.
/// @return why no Linux boots under KVM here; empty where it does
/// Throws a Failure when that cannot be tried.
[[nodiscard]] std::string without_whole_kvm(
    const std::filesystem::path& qemu, const std::filesystem::path& kernel);

/// Can this machine's KVM decide typed IPIs (vmm/linux-kvm)?
[[nodiscard]] bool kvm_decides();

/// Is KVM's host emulated itself, as the box is?
[[nodiscard]] bool in_box(Accel accel);

/// @return "tcg", "kvm", or "kvm in tcg" where KVM's host is emulated itself
[[nodiscard]] std::string accelerator(Accel accel);

}  // namespace ipidefer::lab
