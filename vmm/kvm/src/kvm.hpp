// SPDX-License-Identifier: GPL-2.0-or-later
// /dev/kvm: the system file descriptor, what this host's KVM offers, and the
// VM that it makes. Kernel documentation: virt/kvm/api.rst, sections 4.1-4.4.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"

namespace ipidefer::vmm {

/// Who executes guest instructions: the CPU, or software. Both are correct;
/// times from the latter mean little.
enum class Backend { kWhole, kEmulating, kUnknown };

/// What was found, without starting anything.
struct Probe {
    bool present = false;     // /dev/kvm opens, and speaks API version 12
    bool sufficient = false;  // it also has all that this VMM needs
    Backend backend = Backend::kUnknown;
    std::string line;  // the whole finding in one line
};

inline constexpr char kKvmDevice[] = "/dev/kvm";
[[nodiscard]] Probe probe_kvm(const std::string& device = kKvmDevice);
[[nodiscard]] const char* name(Backend backend) noexcept;

/// The folders of /sys/module that tell backends apart; for tests.
[[nodiscard]] Backend backend_of(const std::string& sys_module);

class Kvm {
  public:
    /// Throws a Failure: kNotPossible when this host has no KVM that suffices.
    Kvm();

    [[nodiscard]] UniqueFd create_vm() const;
    /// Bytes of the page that kernel and VMM share for each vCPU.
    [[nodiscard]] std::size_t run_bytes() const;
    [[nodiscard]] unsigned most_vcpus() const;
    [[nodiscard]] std::vector<kvm_cpuid_entry2> supported_cpuid() const;
    [[nodiscard]] const Probe& probe() const noexcept { return probe_; }

  private:
    Probe probe_;
    UniqueFd fd_;
};

/// Lets guest accesses to `msrs`, and to MSRs that KVM does not know or
/// refuses, exit to us (api.rst 4.97, 7.21). x2APIC MSRs need no filter:
/// without an in-kernel APIC, KVM refuses them all.
void trap_msrs(int vm, const std::vector<std::uint32_t>& msrs);

}  // namespace ipidefer::vmm
