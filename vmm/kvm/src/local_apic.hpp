// SPDX-License-Identifier: GPL-2.0-or-later
// The local APIC of one vCPU, as a model without system calls, clock or
// threads: whoever owns it passes the time in, and acts on what it returns.
// SDM vol. 3A chapter 11; x2APIC mode: 11.12.
//
// One thread uses an object, the vCPU's. What others send it waits in an Inbox
// (inbox.hpp) until that thread takes it.
//
// Not handled: TSC-deadline timer (not offered in CPUID), LINT pins, thermal,
// performance and CMCI interrupts (their LVT entries are only storage), moving
// the APIC's page, SMI and ExtINT, focus processors, EOI broadcasts (there is
// no I/O APIC, so no interrupt is level-triggered).
#pragma once

#include <ipidefer/ipidefer.h>

#include <cstdint>
#include <optional>

#include "vmm/kvm/src/vector_set.hpp"

namespace ipidefer::vmm {

inline constexpr std::uint64_t kApicPageGpa = 0xfee0'0000;
inline constexpr std::uint64_t kApicPageBytes = 4096;
inline constexpr std::uint32_t kMsrApicBase = 0x1b;
inline constexpr std::uint32_t kMsrX2apicFirst = 0x800;
inline constexpr std::uint32_t kMsrX2apicLast = 0x8ff;

/// What a write to a register asks its owner for, beyond the new value.
struct ApicEffect {
    /// An IPI to send. It may be illegal; then the owner must not deliver it.
    std::optional<ipidefer_icr> ipi{};
    /// LocalApic::identity() may have changed.
    bool identity = false;
};

class LocalApic {
  public:
    /// Timer ticks per second at divide by 1: one per nanosecond.
    static constexpr std::uint64_t kTicksPerSecond = 1'000'000'000;
    /// A periodic timer fires no more often than this, in ns: a hostile guest
    /// must not keep a host CPU busy with its timer (I7).
    static constexpr std::uint64_t kLeastPeriod = 100'000;

    LocalApic(std::uint32_t id, bool first);

    /// State after INIT: ID, and APIC base with its mode, stay. 11.4.7.3.
    void init();

    [[nodiscard]] ipidefer_apic identity() const noexcept;
    [[nodiscard]] bool x2apic() const noexcept;

    // IA32_APIC_BASE, 11.4.4 and 11.12.1.
    [[nodiscard]] std::uint64_t base() const noexcept { return base_; }
    /// nullopt: #GP, and nothing changed.
    [[nodiscard]] std::optional<ApicEffect> set_base(std::uint64_t value);

    // xAPIC: aligned 32-bit accesses at an offset within the page. What the SDM
    // leaves undefined reads as 0 and writes nothing. `now` in ns, here and
    // below, of any clock that does not run backwards.
    [[nodiscard]] std::uint32_t read_page(std::uint64_t offset,
                                          std::uint64_t now) const;
    [[nodiscard]] ApicEffect write_page(std::uint64_t offset,
                                        std::uint32_t value, std::uint64_t now);

    // x2APIC: MSRs 0x800 to 0x8ff. nullopt: #GP, and nothing changed.
    [[nodiscard]] std::optional<std::uint64_t> read_msr(
        std::uint32_t msr, std::uint64_t now) const;
    [[nodiscard]] std::optional<ApicEffect> write_msr(std::uint32_t msr,
                                                      std::uint64_t value,
                                                      std::uint64_t now);

    /// A fixed interrupt arrives. Dropped when the APIC is disabled, as by
    /// hardware. 11.8.4.
    void accept(std::uint8_t vector);

    /// The vector to inject next, if one has a higher class than PPR.
    [[nodiscard]] std::optional<std::uint8_t> deliverable() const noexcept;
    /// Does an interrupt wait for nothing but a lower TPR?
    [[nodiscard]] bool held_by_task_priority() const noexcept;
    /// It is being injected: from IRR to ISR.
    void begin_service(std::uint8_t vector) noexcept;
    void end_of_interrupt() noexcept;

    // CR8 is TPR[7:4]. 11.8.6.
    [[nodiscard]] std::uint8_t cr8() const noexcept
    {
        return static_cast<std::uint8_t>(task_priority_ >> 4);
    }
    void set_cr8(std::uint8_t value) noexcept;

    /// When the timer expires next, in ns; nullopt: never.
    [[nodiscard]] std::optional<std::uint64_t> deadline() const noexcept
    {
        return deadline_;
    }
    /// Accepts the timer's interrupt if it has expired; periods that were
    /// missed count as one.
    void run_timer(std::uint64_t now);

    /// An IPI of ours had an illegal vector, or we received one: ESR bits 5, 6.
    void note_illegal_send() noexcept;

  private:
    [[nodiscard]] bool globally_enabled() const noexcept;
    [[nodiscard]] bool software_enabled() const noexcept;
    [[nodiscard]] std::uint8_t processor_priority() const noexcept;
    [[nodiscard]] std::uint32_t logical_id() const noexcept;
    [[nodiscard]] std::uint64_t divisor() const noexcept;
    [[nodiscard]] std::uint32_t current_count(std::uint64_t now) const noexcept;
    void start_timer(std::uint32_t count, std::uint64_t now);
    [[nodiscard]] std::optional<std::uint32_t> read(unsigned reg,
                                                    std::uint64_t now) const;
    /// Registers that both modes have. False: there is none to write.
    bool write(unsigned reg, std::uint32_t value, std::uint64_t now);

    std::uint32_t id_;
    std::uint64_t base_;
    std::uint32_t logical_destination_ = 0;  // xAPIC LDR
    std::uint32_t destination_format_ = 0;   // xAPIC DFR
    std::uint32_t spurious_ = 0;
    std::uint8_t task_priority_ = 0;
    std::uint32_t errors_ = 0;          // ESR as read
    std::uint32_t pending_errors_ = 0;  // what the next write to ESR latches
    std::uint32_t icr_low_ = 0;
    std::uint32_t icr_high_ = 0;
    static constexpr unsigned kLvts = 7;  // CMCI, timer .. error
    std::uint32_t lvt_[kLvts] = {};
    std::uint32_t initial_count_ = 0;
    std::uint32_t divide_ = 0;
    std::uint64_t started_ = 0;
    std::optional<std::uint64_t> deadline_;
    VectorSet requested_;  // IRR
    VectorSet serviced_;   // ISR
};

}  // namespace ipidefer::vmm
