// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/local_apic.hpp"

#include <algorithm>

namespace ipidefer::vmm {
namespace {

// Registers, by MMIO offset / 16, which is the MSR number - 0x800. 11.4.1.
enum Register : unsigned {
    kId = 0x02,
    kVersion = 0x03,
    kTpr = 0x08,
    kPpr = 0x0a,
    kEoi = 0x0b,
    kLdr = 0x0d,
    kDfr = 0x0e,  // xAPIC only
    kSvr = 0x0f,
    kIsr = 0x10,  // and seven more, likewise below
    kTmr = 0x18,
    kIrr = 0x20,
    kEsr = 0x28,
    kLvtCmci = 0x2f,
    kIcrLow = 0x30,
    kIcrHigh = 0x31,  // xAPIC only
    kLvtTimer = 0x32,
    kLvtThermal = 0x33,
    kLvtPerformance = 0x34,
    kLvtLint0 = 0x35,
    kLvtLint1 = 0x36,
    kLvtError = 0x37,
    kInitialCount = 0x38,
    kCurrentCount = 0x39,
    kDivide = 0x3e,
    kSelfIpi = 0x3f,  // x2APIC only
};

// IA32_APIC_BASE.
constexpr std::uint64_t kBaseFirst = 1u << 8;
constexpr std::uint64_t kBaseX2apic = 1u << 10;
constexpr std::uint64_t kBaseEnabled = 1u << 11;
constexpr std::uint64_t kBaseMode = kBaseX2apic | kBaseEnabled;

constexpr std::uint32_t kSvrEnabled = 1u << 8;
constexpr std::uint32_t kSvrWritable = 0x3ff;
constexpr std::uint32_t kSvrReset = 0xff;
constexpr std::uint32_t kDfrReset = 0xffff'ffff;
constexpr std::uint32_t kDfrReserved = 0x0fff'ffff;  // read as ones
constexpr std::uint32_t kLdrWritable = 0xff00'0000;
constexpr std::uint32_t kLvtMasked = 1u << 16;
constexpr std::uint32_t kTimerPeriodic = 1u << 17;
constexpr std::uint32_t kDivideWritable = 0x0b;
constexpr std::uint32_t kEsrSendIllegal = 1u << 5;
constexpr std::uint32_t kEsrReceiveIllegal = 1u << 6;
constexpr std::uint32_t kIcrDeliveryStatus = 1u << 12;  // read-only, idle
constexpr std::uint32_t kIcrWritable = 0x000c'cfff;
constexpr std::uint32_t kSelfShorthand = 1u << 18;

// Version 0x14, highest LVT entry 6, no EOI broadcast suppression. 11.4.8.
constexpr std::uint32_t kVersionValue = 0x0006'0014;

/// Index in lvt_ and writable bits; nullopt: no LVT entry. 11.5.1.
struct Lvt {
    unsigned index;
    std::uint32_t writable;
};
std::optional<Lvt> lvt_of(unsigned reg) noexcept
{
    switch (reg) {
        case kLvtCmci:
            return Lvt{0, 0x0001'07ff};
        case kLvtTimer:
            return Lvt{1, 0x0003'00ff};
        case kLvtThermal:
            return Lvt{2, 0x0001'07ff};
        case kLvtPerformance:
            return Lvt{3, 0x0001'07ff};
        case kLvtLint0:
            return Lvt{4, 0x0001'a7ff};
        case kLvtLint1:
            return Lvt{5, 0x0001'a7ff};
        case kLvtError:
            return Lvt{6, 0x0001'00ff};
        default:
            return std::nullopt;
    }
}
constexpr unsigned kTimerIndex = 1;
constexpr unsigned kErrorIndex = 6;

constexpr std::uint8_t priority_class(std::uint8_t value) noexcept
{
    return value & 0xf0;
}

}  // namespace

LocalApic::LocalApic(std::uint32_t id, bool first)
    : id_{id}, base_{kApicPageGpa | kBaseEnabled | (first ? kBaseFirst : 0)}
{
    init();
}

void LocalApic::init()
{
    logical_destination_ = 0;
    destination_format_ = kDfrReset;
    spurious_ = kSvrReset;
    task_priority_ = 0;
    errors_ = 0;
    pending_errors_ = 0;
    icr_low_ = 0;
    icr_high_ = 0;
    std::fill(std::begin(lvt_), std::end(lvt_), kLvtMasked);
    initial_count_ = 0;
    divide_ = 0;
    started_ = 0;
    deadline_.reset();
    requested_.clear();
    serviced_.clear();
}

bool LocalApic::x2apic() const noexcept
{
    return (base_ & kBaseMode) == kBaseMode;
}

bool LocalApic::globally_enabled() const noexcept
{
    return (base_ & kBaseEnabled) != 0;
}

bool LocalApic::software_enabled() const noexcept
{
    return globally_enabled() && (spurious_ & kSvrEnabled) != 0;
}

std::uint32_t LocalApic::logical_id() const noexcept
{
    // 11.12.10.2: derived from the ID.
    return x2apic() ? (id_ >> 4) << 16 | 1u << (id_ & 15)
                    : logical_destination_;
}

ipidefer_apic LocalApic::identity() const noexcept
{
    ipidefer_apic apic{};
    apic.id = id_;
    apic.ldr = logical_id();
    apic.dfr = destination_format_;
    apic.x2apic = x2apic();
    apic.enabled = globally_enabled();
    return apic;
}

std::optional<ApicEffect> LocalApic::set_base(std::uint64_t value)
{
    // The page cannot move; that also refuses reserved bits.
    if ((value & ~(kBaseMode | kBaseFirst)) != kApicPageGpa)
        return std::nullopt;
    const std::uint64_t from = base_ & kBaseMode;
    const std::uint64_t to = value & kBaseMode;
    // Figure 11-27: x2APIC is entered from xAPIC, and left by disabling.
    const bool allowed = to == from || to == 0 ||
                         (to == kBaseEnabled && from == 0) ||
                         (to == kBaseMode && from == kBaseEnabled);
    if (!allowed) return std::nullopt;
    // Which one is the bootstrap processor is not the guest's to say.
    base_ = kApicPageGpa | to | (base_ & kBaseFirst);
    if (to == 0) init();
    return ApicEffect{.identity = true};
}

std::uint8_t LocalApic::processor_priority() const noexcept
{
    const auto servicing = serviced_.highest();
    const std::uint8_t in_service =
        servicing ? priority_class(*servicing) : std::uint8_t{0};
    return priority_class(task_priority_) >= in_service ? task_priority_
                                                        : in_service;
}

void LocalApic::accept(std::uint8_t vector)
{
    if (!software_enabled()) return;
    if (vector < IPIDEFER_FIRST_LEGAL_VECTOR) {
        pending_errors_ |= kEsrReceiveIllegal;
        return;
    }
    requested_.add(vector);
}

std::optional<std::uint8_t> LocalApic::deliverable() const noexcept
{
    const auto vector = requested_.highest();
    if (!vector ||
        priority_class(*vector) <= priority_class(processor_priority()))
        return std::nullopt;
    return vector;
}

bool LocalApic::held_by_task_priority() const noexcept
{
    const auto vector = requested_.highest();
    const auto servicing = serviced_.highest();
    return vector && !deliverable() &&
           (!servicing || priority_class(*vector) > priority_class(*servicing));
}

void LocalApic::begin_service(std::uint8_t vector) noexcept
{
    requested_.remove(vector);
    serviced_.add(vector);
}

void LocalApic::end_of_interrupt() noexcept
{
    if (const auto vector = serviced_.highest()) serviced_.remove(*vector);
}

void LocalApic::set_cr8(std::uint8_t value) noexcept
{
    // The sub-class that TPR may hold is lost only if the class changes.
    if ((value & 15) != cr8())
        task_priority_ = static_cast<std::uint8_t>((value & 15) << 4);
}

void LocalApic::note_illegal_send() noexcept
{
    pending_errors_ |= kEsrSendIllegal;
    const std::uint32_t lvt = lvt_[kErrorIndex];
    if ((lvt & kLvtMasked) == 0) accept(static_cast<std::uint8_t>(lvt));
}

// ---- Timer, 11.5.4 ----------------------------------------------------------

std::uint64_t LocalApic::divisor() const noexcept
{
    // Bits 3, 1, 0: 000 is 2, 110 is 128, 111 is 1.
    const unsigned code = (divide_ & 3) | (divide_ & 8) >> 1;
    return std::uint64_t{1} << ((code + 1) & 7);
}

void LocalApic::start_timer(std::uint32_t count, std::uint64_t now)
{
    initial_count_ = count;
    started_ = now;
    if (count == 0)
        deadline_.reset();
    else
        deadline_ = now + count * divisor();
}

std::uint32_t LocalApic::current_count(std::uint64_t now) const noexcept
{
    if (!deadline_ || now >= *deadline_) return 0;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(
        (*deadline_ - now) / divisor(), initial_count_));
}

void LocalApic::run_timer(std::uint64_t now)
{
    if (!deadline_ || now < *deadline_) return;
    const std::uint32_t lvt = lvt_[kTimerIndex];
    if ((lvt & kLvtMasked) == 0) accept(static_cast<std::uint8_t>(lvt));
    if ((lvt & kTimerPeriodic) == 0) {
        deadline_.reset();
        return;
    }
    const std::uint64_t period =
        std::max(initial_count_ * divisor(), kLeastPeriod);
    // On the grid of the first expiry, past `now`.
    *deadline_ += ((now - *deadline_) / period + 1) * period;
}

// ---- Registers --------------------------------------------------------------

std::optional<std::uint32_t> LocalApic::read(unsigned reg,
                                             std::uint64_t now) const
{
    if (const auto lvt = lvt_of(reg)) return lvt_[lvt->index];
    if (reg >= kIsr && reg < kIsr + VectorSet::kRegisters)
        return serviced_.register_at(reg - kIsr);
    if (reg >= kTmr && reg < kTmr + VectorSet::kRegisters) return 0;
    if (reg >= kIrr && reg < kIrr + VectorSet::kRegisters)
        return requested_.register_at(reg - kIrr);
    switch (reg) {
        case kId:
            return x2apic() ? id_ : id_ << 24;
        case kVersion:
            return kVersionValue;
        case kTpr:
            return task_priority_;
        case kPpr:
            return processor_priority();
        case kLdr:
            return logical_id();
        case kSvr:
            return spurious_;
        case kEsr:
            return errors_;
        case kIcrLow:
            return icr_low_;
        case kInitialCount:
            return initial_count_;
        case kCurrentCount:
            return current_count(now);
        case kDivide:
            return divide_;
        default:
            return std::nullopt;
    }
}

bool LocalApic::write(unsigned reg, std::uint32_t value, std::uint64_t now)
{
    if (const auto lvt = lvt_of(reg)) {
        // While software-disabled, all mask bits stay set. 11.4.7.2.
        lvt_[lvt->index] =
            (value & lvt->writable) | (software_enabled() ? 0 : kLvtMasked);
        return true;
    }
    switch (reg) {
        case kTpr:
            task_priority_ = static_cast<std::uint8_t>(value);
            return true;
        case kEoi:
            end_of_interrupt();
            return true;
        case kSvr:
            spurious_ = value & kSvrWritable;
            if (!software_enabled())
                for (auto& lvt : lvt_) lvt |= kLvtMasked;
            return true;
        case kEsr:
            errors_ = pending_errors_;
            pending_errors_ = 0;
            return true;
        case kInitialCount:
            start_timer(value, now);
            return true;
        case kDivide: {
            const std::uint32_t left = current_count(now);
            divide_ = value & kDivideWritable;
            if (deadline_ && left != 0) deadline_ = now + left * divisor();
            return true;
        }
        default:
            return false;
    }
}

std::uint32_t LocalApic::read_page(std::uint64_t offset,
                                   std::uint64_t now) const
{
    if (!globally_enabled() || x2apic() || offset % 16 != 0) return 0;
    const auto reg = static_cast<unsigned>(offset / 16);
    if (reg == kDfr) return destination_format_;
    if (reg == kIcrHigh) return icr_high_;
    return read(reg, now).value_or(0);
}

ApicEffect LocalApic::write_page(std::uint64_t offset, std::uint32_t value,
                                 std::uint64_t now)
{
    if (!globally_enabled() || x2apic() || offset % 16 != 0) return {};
    const auto reg = static_cast<unsigned>(offset / 16);
    switch (reg) {
        case kLdr:
            logical_destination_ = value & kLdrWritable;
            return {.identity = true};
        case kDfr:
            destination_format_ = value | kDfrReserved;
            return {.identity = true};
        case kIcrHigh:
            icr_high_ = value & 0xff00'0000;
            return {};
        case kIcrLow:
            icr_low_ = value & kIcrWritable & ~kIcrDeliveryStatus;
            return {.ipi = ipidefer_icr_xapic(icr_low_, icr_high_)};
        default:
            write(reg, value, now);
            return {};
    }
}

std::optional<std::uint64_t> LocalApic::read_msr(std::uint32_t msr,
                                                 std::uint64_t now) const
{
    if (!x2apic() || msr < kMsrX2apicFirst || msr > kMsrX2apicLast)
        return std::nullopt;
    const unsigned reg = msr - kMsrX2apicFirst;
    if (reg == kIcrLow) return std::uint64_t{icr_high_} << 32 | icr_low_;
    return read(reg, now);
}

std::optional<ApicEffect> LocalApic::write_msr(std::uint32_t msr,
                                               std::uint64_t value,
                                               std::uint64_t now)
{
    if (!x2apic() || msr < kMsrX2apicFirst || msr > kMsrX2apicLast)
        return std::nullopt;
    const unsigned reg = msr - kMsrX2apicFirst;
    const auto low = static_cast<std::uint32_t>(value);

    if (reg == kIcrLow) {
        if ((low & IPIDEFER_ICR_X2APIC_RESERVED) != 0) return std::nullopt;
        icr_low_ = low;
        icr_high_ = static_cast<std::uint32_t>(value >> 32);
        return ApicEffect{.ipi = ipidefer_icr_x2apic(value)};
    }
    // Reserved bits fault, in x2APIC mode. 11.12.1.3.
    if (value >> 32 != 0) return std::nullopt;
    std::uint32_t writable = 0xffff'ffff;
    if (const auto lvt = lvt_of(reg)) writable = lvt->writable;
    switch (reg) {
        case kTpr:
        case kSelfIpi:
            writable = 0xff;
            break;
        case kEoi:
        case kEsr:
            writable = 0;
            break;
        case kSvr:
            writable = kSvrWritable;
            break;
        case kDivide:
            writable = kDivideWritable;
            break;
        default:
            break;
    }
    // Delivery status of an LVT entry, bit 12, may be written but is ignored.
    if ((low & ~writable & ~(lvt_of(reg) ? kIcrDeliveryStatus : 0)) != 0)
        return std::nullopt;
    if (reg == kSelfIpi)
        return ApicEffect{.ipi = ipidefer_icr_x2apic(kSelfShorthand | low)};
    if (!write(reg, low, now)) return std::nullopt;
    return ApicEffect{};
}

}  // namespace ipidefer::vmm
