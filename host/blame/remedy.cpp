// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/remedy.hpp"

#include <algorithm>

namespace ipidefer::blame {
namespace {

using Kind = Cause::Kind;
using std::string_view;

// Named as in host/check and host/domain; a test of the command compares.
constexpr string_view kGuestIpiChecks[] = {"guest.ipi_defer", "domain.object",
                                           "domain.kernel", "domain.guest",
                                           "domain.policy"};
constexpr string_view kGuestTimerChecks[] = {"guest.nohz_full",
                                             "guest.rcu_nocb", "domain.kernel"};
constexpr string_view kCallChecks[] = {"isolcpus", "domain.host-isolation"};
constexpr string_view kTimerChecks[] = {"nohz_full", "domain.host-isolation"};
constexpr string_view kHostDeviceChecks[] = {"irqaffinity"};
constexpr string_view kSchedulerChecks[] = {"isolcpus", "domain.vcpupin",
                                            "domain.emulatorpin",
                                            "domain.host-isolation"};

constexpr Remedy kGuestIpi{
    "record what can wait until the guest's kernel is entered next: a guest "
    "with ipi_defer=hv, on a VMM with the ipi-defer object that names the vCPU "
    "as isolated; what sends the rest is in docs/SENDERS.md",
    false, kGuestIpiChecks};
constexpr Remedy kDevice{
    "have the guest take its devices' interrupts elsewhere: irqaffinity= on "
    "its command line, or its /proc/irq/N/smp_affinity",
    false,
    {}};
constexpr Remedy kGuestTimer{
    "stop the tick of the guest's kernel: nohz_full= and rcu_nocbs= on its "
    "command line; timers of the program on the vCPU remain",
    false, kGuestTimerChecks};
constexpr Remedy kGuestOther{
    "look up the vector in the guest's /proc/interrupts, and have its device "
    "or driver interrupt another vCPU",
    false,
    {}};
constexpr Remedy kCall{
    "find with --stacks what has the function called, and end it or keep it to "
    "other CPUs; isolcpus= and nohz_full= on the host keep many away",
    false, kCallChecks};
constexpr Remedy kReschedule{
    "keep threads that are woken up off the vCPU's host CPU: isolcpus= on the "
    "host, and a CPU of its own for each isolated vCPU; --stacks shows who "
    "wakes",
    false, kSchedulerChecks};
constexpr Remedy kTimer{
    "stop the tick of the vCPU's host CPU: nohz_full= on the host, and nothing "
    "else that runs there",
    false, kTimerChecks};
constexpr Remedy kHostDevice{
    "have the host take its devices' interrupts elsewhere: irqaffinity= on its "
    "command line, isolcpus=managed_irq,..., or /proc/irq/N/smp_affinity",
    false, kHostDeviceChecks};
constexpr Remedy kIrqWork{
    "end what queues work in interrupts there, as perf, tracing or printing "
    "does, and give the host's RCU callbacks to other CPUs: rcu_nocbs=",
    false,
    {}};
constexpr Remedy kScheduler{
    "let nothing else run on the vCPU's host CPU: isolcpus= on the host, one "
    "pin for each vCPU, and emulator, iothreads and vhost elsewhere",
    false, kSchedulerChecks};
constexpr Remedy kGuest{
    "change what the guest does: idle=poll, or QEMU's -overcommit cpu-pm=on, "
    "for hlt; virtio in place of emulated devices for io and MMIO; what it "
    "needs of cpuid or MSRs it must ask for",
    false,
    {}};
constexpr Remedy kPageFault{
    "have the guest's memory there before: huge pages that are allocated in "
    "advance, and locked (QEMU's -overcommit mem-lock=on, libvirt's "
    "<locked/>); "
    "no balloon, no KSM",
    false,
    {}};
constexpr Remedy kUnknown{
    "nothing was seen of it, so nothing can be said: an interrupt without a "
    "trace event, as an NMI or SMI has none, or with one that this kernel does "
    "not have",
    true,
    {}};

constexpr Kind kKinds[] = {
    Kind::kGuestIpi, Kind::kDevice,     Kind::kGuestTimer, Kind::kGuestOther,
    Kind::kCall,     Kind::kReschedule, Kind::kTimer,      Kind::kHostDevice,
    Kind::kIrqWork,  Kind::kScheduler,  Kind::kGuest,      Kind::kPageFault,
    Kind::kUnknown};

}  // namespace

// A switch, so that the compiler misses a cause that has none.
const Remedy& remedy(Kind kind) noexcept
{
    switch (kind) {
        case Kind::kGuestIpi:
            return kGuestIpi;
        case Kind::kDevice:
            return kDevice;
        case Kind::kGuestTimer:
            return kGuestTimer;
        case Kind::kGuestOther:
            return kGuestOther;
        case Kind::kCall:
            return kCall;
        case Kind::kReschedule:
            return kReschedule;
        case Kind::kTimer:
            return kTimer;
        case Kind::kHostDevice:
            return kHostDevice;
        case Kind::kIrqWork:
            return kIrqWork;
        case Kind::kScheduler:
            return kScheduler;
        case Kind::kGuest:
            return kGuest;
        case Kind::kPageFault:
            return kPageFault;
        case Kind::kUnknown:
            break;
    }
    return kUnknown;
}

std::vector<Kind> causes_of_check(string_view finding)
{
    std::vector<Kind> causes;
    for (const Kind kind : kKinds)
        if (std::ranges::find(remedy(kind).checks, finding) !=
            remedy(kind).checks.end())
            causes.push_back(kind);
    return causes;
}

}  // namespace ipidefer::blame
