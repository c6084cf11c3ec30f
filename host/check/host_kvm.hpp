// SPDX-License-Identifier: GPL-2.0-or-later
// The host's KVM: whether VMs can use it, and whether their IPIs pass it by.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>

namespace ipidefer::check {

/// Hardware that delivers IPIs between vCPUs without KVM, by the parameter of
/// KVM's module that tells whether it is used (arch/x86/kvm/vmx/vmx.c,
/// arch/x86/kvm/svm/avic.c).
struct IpiVirtualization {
    const char* module;
    const char* parameter;
    const char* name;

    /// Nothing when the module is not loaded or has no such parameter.
    /// @param root  where /sys is: "/" or a test's folder
    [[nodiscard]] std::optional<bool> on(
        const std::filesystem::path& root) const;
};

inline constexpr std::array<IpiVirtualization, 2> kIpiVirtualizations{{
    {"kvm_intel", "enable_ipiv", "IPI virtualization"},
    {"kvm_amd", "avic", "AVIC"},
}};

/// Whether either is on; false where there is no KVM.
[[nodiscard]] bool ipis_bypass_kvm(const std::filesystem::path& root);

/// Why the caller cannot use /dev/kvm; nothing when it can.
[[nodiscard]] std::optional<std::string> kvm_complaint(
    const std::filesystem::path& root);

}  // namespace ipidefer::check
