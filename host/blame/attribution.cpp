// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/attribution.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ipidefer::blame {
namespace {

using Kind = Cause::Kind;
using What = Event::What;

/// The guest's local APIC timer, as KVM emulates it (arch/x86/kvm/lapic.c).
constexpr std::string_view kApicTimer = "apic_timer_fn";
/// A device that the VMM emulates in a vCPU's thread, or a doorbell of its own.
constexpr char kVmm[] = "'s VMM";
/// More interrupts than these do not send in one another; what is older has a
/// stack that was lost.
constexpr std::size_t kMostUnexplained = 8;
constexpr std::string_view kPageFaultReasons[] = {"npf", "EPT_VIOLATION"};

std::string by(const std::string& what, const std::string& sender)
{
    if (sender.empty()) return what;
    return what.empty() ? "by " + sender : what + " by " + sender;
}

}  // namespace

Attribution::Attribution(const std::vector<Thread>& threads)
{
    for (const Thread& thread : threads) {
        by_pid_[thread.pid].thread = thread;
        pid_of_apic_[thread.apic_id] = thread.pid;
    }
}

std::set<unsigned> Attribution::open() const
{
    std::set<unsigned> away;
    for (const auto& [pid, vcpu] : by_pid_)
        if (vcpu.away) away.insert(vcpu.thread.vcpu);
    return away;
}

std::string Attribution::sender(const Event& event, const char* part) const
{
    const auto own = by_pid_.find(event.pid);
    return own == by_pid_.end()
               ? event.comm
               : fmt::format("vCPU {}{}", own->second.thread.vcpu, part);
}

void Attribution::see(Vcpu& vcpu, Cause cause,
                      std::shared_ptr<const Stack> stack)
{
    if (std::ranges::find(vcpu.seen, cause, &Seen::cause) == vcpu.seen.end())
        vcpu.seen.push_back({std::move(cause), std::move(stack)});
}

void Attribution::sent(Sender& sender, const Event& event)
{
    sender = {event.comm, event.cpu, event.pid, nullptr};
    auto& waiting = unexplained_[event.cpu];
    if (waiting.size() == kMostUnexplained) waiting.erase(waiting.begin());
    waiting.push_back(&sender);
}

/// The kernel writes a stack directly behind its event, on the same CPU, and an
/// interrupt that comes in between has written its own by then.
void Attribution::explain(const Event& event)
{
    auto& waiting = unexplained_[event.cpu];
    if (waiting.empty()) return;
    Sender& sender = *waiting.back();
    waiting.pop_back();
    // Another CPU may have sent the same there meanwhile.
    if (sender.cpu == event.cpu && sender.pid == event.pid)
        sender.stack = event.stack;
}

/// What a local APIC accepts has its source in the same thread, just before;
/// the guest's own timer has none.
void Attribution::accept(const Event& event)
{
    const auto target =
        pid_of_apic_.find(static_cast<std::uint32_t>(event.number));
    const auto source = source_.find(event.pid);
    if (target != pid_of_apic_.end()) {
        Vcpu& vcpu = by_pid_.at(target->second);
        const auto vector = static_cast<unsigned>(event.other);
        Pending& pending = vcpu.pending[vector];
        pending.accepted = std::min(pending.accepted + 1, 2U);
        if (source != source_.end())
            pending.cause = source->second;
        else if (event.pid == vcpu.thread.pid)
            pending.cause = {Kind::kGuestTimer,
                             fmt::format("vector {:#x}", vector)};
        else
            // KVM's doorbell has no event before this.
            pending.cause = {
                by_pid_.contains(event.pid) ? Kind::kGuestIpi
                                            : Kind::kGuestOther,
                by(fmt::format("vector {:#x}", vector), sender(event, ""))};
    }
}

std::optional<Interruption> Attribution::feed(const Event& event)
{
    const auto own = by_pid_.find(event.pid);
    switch (event.what) {
        case What::kIpi:
            source_[event.pid] = {Kind::kGuestIpi,
                                  by(fmt::format("vector {:#x}", event.number),
                                     sender(event, ""))};
            return std::nullopt;
        case What::kMsi:
            source_[event.pid] = {
                Kind::kDevice,
                by(fmt::format("MSI, vector {:#x}", event.number),
                   sender(event, kVmm))};
            return std::nullopt;
        case What::kLine:
            source_[event.pid] = {
                Kind::kDevice,
                by(fmt::format("GSI {}", event.number), sender(event, kVmm))};
            return std::nullopt;
        case What::kAccept:
            accept(event);
            return std::nullopt;
        case What::kCallQueued:
            sent(callers_[{event.number, event.text}], event);
            return std::nullopt;
        case What::kIpiSent:
            // With a function it is one of those that are queued.
            if (event.text.empty()) sent(rescheduler_[event.number], event);
            return std::nullopt;
        case What::kStack:
            explain(event);
            return std::nullopt;
        case What::kEntry:
        case What::kExit:
        case What::kInject:
        case What::kToUserspace:
        case What::kPageFault:
        case What::kLocalTimer:
        case What::kReschedule:
        case What::kIrqWork:
        case What::kTimerRuns:
        case What::kDeviceIrq:
        case What::kCallRuns:
        case What::kSwitch:
            break;
    }
    if (own == by_pid_.end()) return std::nullopt;
    // Whatever the thread does next, what it was about to send is sent.
    if (event.what == What::kEntry || event.what == What::kExit)
        source_.erase(event.pid);
    if (event.what == What::kEntry) return end(own->second, event);
    on_thread(own->second, event);
    return std::nullopt;
}

void Attribution::on_thread(Vcpu& vcpu, const Event& event)
{
    if (event.what == What::kExit) {
        // Its entry was lost with other events.
        if (vcpu.away) ++unseen_;
        vcpu.away = true;
        vcpu.interrupt = event.number != 0;
        vcpu.since_ns = event.ns;
        vcpu.reason = event.text;
        vcpu.timer = vcpu.reschedule = false;
        vcpu.seen.clear();
        return;
    }
    if (!vcpu.away) return;
    switch (event.what) {
        case What::kLocalTimer:
            vcpu.timer = true;
            break;
        case What::kTimerRuns:
            // Also from a softirq, without an interrupt of its own.
            vcpu.timer = false;
            see(vcpu, event.text == kApicTimer
                          ? Cause{Kind::kGuestTimer, "APIC timer"}
                          : Cause{Kind::kTimer, event.text});
            break;
        case What::kReschedule:
            vcpu.reschedule = true;
            vcpu.reschedule_sender = rescheduler_[event.cpu];
            break;
        case What::kCallRuns: {
            const Sender& from = callers_[{event.cpu, event.text}];
            see(vcpu, {Kind::kCall, by(event.text, from.comm)}, from.stack);
            break;
        }
        case What::kIrqWork:
            see(vcpu, {Kind::kIrqWork, ""});
            break;
        case What::kDeviceIrq:
            see(vcpu, {Kind::kHostDevice, event.text});
            break;
        case What::kPageFault:
            see(vcpu, {Kind::kPageFault, ""});
            break;
        case What::kToUserspace:
            if (!vcpu.interrupt) vcpu.reason += ", " + event.text;
            break;
        case What::kSwitch:
            // One that waits is not kept from running.
            if (event.number != 0) see(vcpu, {Kind::kScheduler, event.text});
            break;
        case What::kInject: {
            const auto vector = static_cast<unsigned>(event.number);
            const auto known = vcpu.pending.find(vector);
            see(vcpu, known == vcpu.pending.end()
                          ? Cause{Kind::kGuestOther,
                                  fmt::format("vector {:#x}", vector)}
                          : known->second.cause);
            if (known != vcpu.pending.end() && --known->second.accepted == 0)
                vcpu.pending.erase(known);
            // That is what it was woken up for.
            vcpu.reschedule = false;
            break;
        }
        case What::kEntry:
        case What::kExit:
        case What::kAccept:
        case What::kIpi:
        case What::kMsi:
        case What::kLine:
        case What::kCallQueued:
        case What::kIpiSent:
        case What::kStack:
            break;  // above
    }
}

std::optional<Interruption> Attribution::end(Vcpu& vcpu, const Event& event)
{
    if (!vcpu.away) return std::nullopt;
    vcpu.away = false;
    if (vcpu.timer) see(vcpu, {Kind::kTimer, "without a function"});
    if (vcpu.reschedule)
        see(vcpu, {Kind::kReschedule, by("", vcpu.reschedule_sender.comm)},
            vcpu.reschedule_sender.stack);

    Interruption done{vcpu.thread.vcpu, vcpu.since_ns, event.ns, {}, {}};
    auto rest = vcpu.seen.begin();
    if (!vcpu.interrupt) {
        const bool fault = std::ranges::find(kPageFaultReasons, vcpu.reason) !=
                           std::end(kPageFaultReasons);
        done.cause = fault ? Cause{Kind::kPageFault, vcpu.reason}
                           : Cause{Kind::kGuest, vcpu.reason};
    } else if (rest != vcpu.seen.end()) {
        done.cause = (rest++)->cause;
    } else {
        done.cause = {Kind::kUnknown, vcpu.reason};
    }
    for (; rest != vcpu.seen.end(); ++rest) done.also.push_back(rest->cause);
    if (done.cause.kind == Kind::kPageFault)
        std::erase(done.also, Cause{Kind::kPageFault, ""});

    tallies_[{done.vcpu, done.cause}].away_ns.add(done.to_ns - done.from_ns);
    for (const Cause& cause : done.also) ++tallies_[{done.vcpu, cause}].also;
    for (const Seen& seen : vcpu.seen)
        if (seen.stack != nullptr)
            ++tallies_[{done.vcpu, seen.cause}].stacks[*seen.stack];
    return done;
}

}  // namespace ipidefer::blame
