// SPDX-License-Identifier: GPL-2.0-or-later
// A vCPU's thread: takes what others sent it, injects, runs the guest, and
// handles why it stopped; until the run ends.
#pragma once

#include <atomic>
#include <cstdint>

#include "vmm/kvm/src/kick.hpp"
#include "vmm/kvm/src/local_apic.hpp"
#include "vmm/kvm/src/ports.hpp"
#include "vmm/kvm/src/router.hpp"
#include "vmm/kvm/src/vcpu.hpp"

namespace ipidefer::vmm {

class RunLoop {
  public:
    RunLoop(unsigned index, Vcpu& vcpu, Router& router, Ports& ports,
            Ending& ending);

    /// Before run(): where the first vCPU starts. The others wait for a SIPI.
    void start_at(const CpuState& state);

    /// Returns when the run has ended; never throws, an error ends the run.
    void run() noexcept;

    [[nodiscard]] Kick& kick() noexcept { return kick_; }
    [[nodiscard]] ipidefer_apic identity() const { return apic_.identity(); }
    /// Any thread.
    [[nodiscard]] VcpuCounts counts() const;

  private:
    enum class State { kRunning, kHalted, kWaitingForSipi };

    void rounds();
    void take_inbox();
    void reset();
    [[nodiscard]] bool can_run() const;
    void inject();
    void enter();
    void handle_exit();
    void handle_io();
    void handle_mmio();
    void handle_rdmsr();
    void handle_wrmsr();
    void apply(const ApicEffect& effect);
    [[nodiscard]] bool write_msr(std::uint32_t msr, std::uint64_t value);
    void guest_failed(const std::string& why);
    void count(std::atomic<std::uint64_t>& counter) noexcept;

    unsigned index_;
    Vcpu& vcpu_;
    Router& router_;
    Ports& ports_;
    Ending& ending_;
    LocalApic apic_;
    Kick kick_;
    State state_ = State::kWaitingForSipi;
    bool nmi_pending_ = false;
    bool must_complete_ = false;  // KVM has to finish the last exit first
    std::atomic<std::uint64_t> returns_{0}, interrupts_{0}, nmis_{0}, msrs_{0},
        mmios_{0}, ios_{0}, halts_{0};
};

}  // namespace ipidefer::vmm
