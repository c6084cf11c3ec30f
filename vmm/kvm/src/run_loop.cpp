// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/run_loop.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <sstream>

#include "base/failure.hpp"

namespace ipidefer::vmm {
namespace {

/// One instruction can exit several times, for accesses that cross a page.
constexpr unsigned kMostCompletions = 16;
constexpr std::uint64_t kLookAtTaskPriority = 1'000'000;  // ns

std::string hex(std::uint64_t value)
{
    std::ostringstream text;
    text << "0x" << std::hex << value;
    return text.str();
}

}  // namespace

RunLoop::RunLoop(unsigned index, Vcpu& vcpu, Router& router, Ports& ports,
                 Ending& ending)
    : index_{index},
      vcpu_{vcpu},
      router_{router},
      ports_{ports},
      ending_{ending},
      apic_{index, index == 0}
{
}

void RunLoop::start_at(const CpuState& state)
{
    vcpu_.set_state(state);
    state_ = State::kRunning;
}

VcpuCounts RunLoop::counts() const
{
    // Ordering: RELAXED; counters order nothing.
    constexpr auto relaxed = std::memory_order_relaxed;
    VcpuCounts counts;
    counts.returns = returns_.load(relaxed);
    counts.exits = vcpu_.exits().value_or(0);
    counts.interrupts = interrupts_.load(relaxed);
    counts.nmis = nmis_.load(relaxed);
    counts.kicks = kick_.kicks();
    counts.msrs = msrs_.load(relaxed);
    counts.mmios = mmios_.load(relaxed);
    counts.ios = ios_.load(relaxed);
    counts.halts = halts_.load(relaxed);
    return counts;
}

void RunLoop::count(std::atomic<std::uint64_t>& counter) noexcept
{
    // Ordering: RELAXED, and no RMW: only this thread writes.
    counter.store(counter.load(std::memory_order_relaxed) + 1,
                  std::memory_order_relaxed);
}

void RunLoop::run() noexcept
{
    try {
        kick_.attach(vcpu_.run_page());
        rounds();
        kick_.detach();
    } catch (const std::exception& error) {
        ending_.set({Outcome::Kind::kBroken, 0,
                     "vCPU " + std::to_string(index_) + ": " + error.what()});
    }
}

void RunLoop::rounds()
{
    for (;;) {
        kick_.begin_round();
        // The end is set before its kick, like everything in an inbox.
        if (ending_.is_set()) return;
        take_inbox();
        apic_.run_timer(now_ns());
        if (!can_run()) {
            kick_.wait(apic_.deadline());
            continue;
        }
        state_ = State::kRunning;
        inject();
        enter();
    }
}

void RunLoop::take_inbox()
{
    Inbox& inbox = router_.inbox(index_);
    const Inbox::Events events = inbox.take_events();
    if (events.init) reset();
    if (events.sipi && state_ == State::kWaitingForSipi) {
        vcpu_.set_state(sipi_state(*events.sipi));
        state_ = State::kRunning;
    }
    if (events.nmi && state_ != State::kWaitingForSipi) nmi_pending_ = true;
    inbox.take_fixed([this](std::uint8_t vector) { apic_.accept(vector); });
}

/// INIT. The contract: it ends the registration.
void RunLoop::reset()
{
    // An instruction that exited has to be finished before its registers can be
    // replaced, or KVM would finish it on the new ones. The kick this may
    // swallow is repeated by nobody, so the caller's round goes on to look at
    // everything before the guest is entered.
    for (unsigned i = 0; must_complete_ && i < kMostCompletions; ++i) {
        vcpu_.run_page().immediate_exit = 1;
        must_complete_ = vcpu_.run();
    }
    must_complete_ = false;
    router_.end_registration(index_);
    apic_.init();
    router_.set_identity(index_, apic_.identity());
    nmi_pending_ = false;
    vcpu_.clear_events();
    vcpu_.set_state(sipi_state(0));
    state_ = State::kWaitingForSipi;
}

bool RunLoop::can_run() const
{
    switch (state_) {
        case State::kRunning:
            return true;
        case State::kHalted:
            return nmi_pending_ ||
                   (apic_.deliverable() &&
                    const_cast<Vcpu&>(vcpu_).run_page().if_flag != 0);
        case State::kWaitingForSipi:
            return false;
    }
    return false;
}

void RunLoop::inject()
{
    kvm_run& page = vcpu_.run_page();
    if (nmi_pending_) {
        vcpu_.inject_nmi();
        nmi_pending_ = false;
        count(nmis_);
    }
    page.request_interrupt_window = 0;
    auto vector = apic_.deliverable();
    if (vector && page.ready_for_interrupt_injection != 0) {
        apic_.begin_service(*vector);
        vcpu_.inject(*vector);
        count(interrupts_);
        vector = apic_.deliverable();
    }
    if (vector) page.request_interrupt_window = 1;
    page.cr8 = apic_.cr8();
}

void RunLoop::enter()
{
    auto leave_at = apic_.deadline();
    // Lowering CR8 should exit (KVM_EXIT_SET_TPR); where KVM emulates the
    // instruction it may not, and nothing else would tell us.
    if (apic_.held_by_task_priority()) {
        const std::uint64_t look_at = now_ns() + kLookAtTaskPriority;
        leave_at = leave_at ? std::min(*leave_at, look_at) : look_at;
    }
    kick_.leave_guest_at(leave_at);
    const bool exited = vcpu_.run();
    count(returns_);
    apic_.set_cr8(static_cast<std::uint8_t>(vcpu_.run_page().cr8));
    must_complete_ = false;
    if (exited) handle_exit();
}

void RunLoop::handle_exit()
{
    kvm_run& page = vcpu_.run_page();
    switch (page.exit_reason) {
        case KVM_EXIT_IO:
            handle_io();
            break;
        case KVM_EXIT_MMIO:
            handle_mmio();
            break;
        case KVM_EXIT_X86_RDMSR:
            handle_rdmsr();
            break;
        case KVM_EXIT_X86_WRMSR:
            handle_wrmsr();
            break;
        case KVM_EXIT_HLT:
            count(halts_);
            state_ = State::kHalted;
            break;
        case KVM_EXIT_INTR:
        case KVM_EXIT_IRQ_WINDOW_OPEN:
        case KVM_EXIT_SET_TPR:
            break;
        case KVM_EXIT_SHUTDOWN:
            guest_failed("triple fault");
            break;
        case KVM_EXIT_FAIL_ENTRY:
            guest_failed("the processor refused its state, reason " +
                         hex(page.fail_entry.hardware_entry_failure_reason));
            break;
        case KVM_EXIT_INTERNAL_ERROR:
            guest_failed("KVM internal error " +
                         std::to_string(page.internal.suberror));
            break;
        default:
            guest_failed("KVM exit " + std::to_string(page.exit_reason) +
                         " is not handled");
            break;
    }
}

void RunLoop::guest_failed(const std::string& why)
{
    const kvm_regs regs = vcpu_.regs();
    ending_.set({Outcome::Kind::kGuestFailed, 0,
                 "vCPU " + std::to_string(index_) + ": " + why + ", rip " +
                     hex(regs.rip) + ", rsp " + hex(regs.rsp)});
}

void RunLoop::handle_io()
{
    kvm_run& page = vcpu_.run_page();
    count(ios_);
    must_complete_ = true;
    auto* data = reinterpret_cast<unsigned char*>(&page) + page.io.data_offset;
    for (std::uint32_t i = 0; i < page.io.count; ++i, data += page.io.size) {
        std::uint32_t value = 0;
        if (page.io.direction == KVM_EXIT_IO_OUT) {
            std::memcpy(&value, data, page.io.size);
            ports_.write(page.io.port, page.io.size, value);
        } else {
            value = Ports::read(page.io.port);
            std::memcpy(data, &value, page.io.size);
        }
    }
}

void RunLoop::handle_mmio()
{
    kvm_run& page = vcpu_.run_page();
    count(mmios_);
    must_complete_ = true;
    const std::uint64_t offset = page.mmio.phys_addr - kApicPageGpa;
    const bool apic = page.mmio.phys_addr >= kApicPageGpa &&
                      offset < kApicPageBytes && page.mmio.len == 4;
    std::uint32_t value = 0;
    if (page.mmio.is_write == 0) {
        std::memset(page.mmio.data, 0xff, sizeof(page.mmio.data));
        if (!apic) return;
        value = apic_.read_page(offset, now_ns());
        std::memcpy(page.mmio.data, &value, sizeof(value));
        return;
    }
    if (!apic) return;
    std::memcpy(&value, page.mmio.data, sizeof(value));
    apply(apic_.write_page(offset, value, now_ns()));
}

void RunLoop::handle_rdmsr()
{
    kvm_run& page = vcpu_.run_page();
    count(msrs_);
    must_complete_ = true;
    std::optional<std::uint64_t> value;
    if (page.msr.index == kMsrApicBase)
        value = apic_.base();
    else if (page.msr.index == IPI_DEFER_MSR_REGISTER)
        value = router_.read_register(index_);
    else
        value = apic_.read_msr(page.msr.index, now_ns());
    page.msr.data = value.value_or(0);
    page.msr.error = value ? 0 : 1;  // nonzero: #GP
}

void RunLoop::handle_wrmsr()
{
    kvm_run& page = vcpu_.run_page();
    count(msrs_);
    must_complete_ = true;
    page.msr.error = write_msr(page.msr.index, page.msr.data) ? 0 : 1;
}

bool RunLoop::write_msr(std::uint32_t msr, std::uint64_t value)
{
    if (msr == IPI_DEFER_MSR_REGISTER)
        return router_.write_register(index_, value);
    const auto effect = msr == kMsrApicBase
                            ? apic_.set_base(value)
                            : apic_.write_msr(msr, value, now_ns());
    if (effect) apply(*effect);
    return effect.has_value();
}

void RunLoop::apply(const ApicEffect& effect)
{
    if (effect.identity) router_.set_identity(index_, apic_.identity());
    if (effect.ipi && !router_.send(index_, *effect.ipi))
        apic_.note_illegal_send();
}

}  // namespace ipidefer::vmm
