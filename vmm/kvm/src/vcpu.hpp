// SPDX-License-Identifier: GPL-2.0-or-later
// One KVM vCPU: its file descriptor, the page that it shares with KVM, and the
// ioctls on it, as functions that throw a Failure. api.rst sections 4 and 5.
// All calls on the vCPU's thread, but those before it starts, and exits().
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/unique_fd.hpp"
#include "vmm/kvm/src/cpu_state.hpp"

namespace ipidefer::vmm {

class Vcpu {
  public:
    Vcpu(int vm, unsigned index, std::size_t run_bytes);
    ~Vcpu();
    Vcpu(const Vcpu&) = delete;
    Vcpu& operator=(const Vcpu&) = delete;

    [[nodiscard]] kvm_run& run_page() noexcept { return *run_; }

    /// KVM_RUN. True: there is an exit to handle in run_page(). False: it was
    /// interrupted, which also completes the exit before.
    [[nodiscard]] bool run();

    void set_cpuid(const std::vector<kvm_cpuid_entry2>& entries);
    void set_state(const CpuState& state);
    [[nodiscard]] kvm_regs regs() const;
    /// Forgets what was being injected; INIT needs it.
    void clear_events();
    void inject(std::uint8_t vector);
    void inject_nmi();

    /// Times that KVM left the guest since the vCPU was made, whether or not we
    /// learned of it; nullopt: this KVM does not count. Any thread.
    [[nodiscard]] std::optional<std::uint64_t> exits() const;

    /// The guest's TSC minus the host's; nullopt: this KVM does not tell (Linux
    /// 5.16 does). Waits until the vCPU has left the guest.
    [[nodiscard]] std::optional<std::int64_t> tsc_offset() const;

  private:
    void open_statistics();

    UniqueFd fd_;
    UniqueFd statistics_;
    std::uint64_t exits_at_ = 0;  // offset in statistics_
    std::size_t run_bytes_;
    kvm_run* run_ = nullptr;
};

}  // namespace ipidefer::vmm
