// SPDX-License-Identifier: GPL-2.0-or-later
// Event: what of the host's trace events attribution needs, without their form.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ipidefer::blame {

/// Names of the kernel's functions, the innermost first.
using Stack = std::vector<std::string>;

struct Event {
    enum class What : std::uint8_t {
        kEntry,        // kvm_entry: the vCPU runs
        kExit,         // kvm_exit; text: the reason, number: 1 if an interrupt
        kInject,       // kvm_inj_virq; number: vector
        kAccept,       // kvm_apic_accept_irq; number: APIC ID, other: vector
        kIpi,          // kvm_apic_ipi, by a vCPU; number: vector
        kMsi,          // kvm_msi_set_irq; number: vector
        kLine,         // kvm_set_irq: a device's line; number: GSI
        kToUserspace,  // kvm_userspace_exit; text: the reason
        kPageFault,    // kvm_page_fault
        kLocalTimer,   // irq_vectors: local_timer_entry
        kReschedule,   // reschedule_entry
        kIrqWork,      // irq_work_entry
        kTimerRuns,    // hrtimer_expire_entry; text: the function
        kDeviceIrq,    // irq_handler_entry; text: the name
        kCallQueued,   // csd_queue_cpu; number: CPU, text: the function
        kCallRuns,     // csd_function_entry; text: the function
        kIpiSent,      // ipi_send_cpu; number: CPU, text: the function, if any
        kSwitch,       // sched_switch; text: who runs now, number: 1 if the
                       // one before was still runnable
        kStack,        // kernel_stack: of what the thread sent just before
    };

    std::uint64_t ns = 0;  // by one clock for all CPUs
    unsigned cpu = 0;      // that the event is from
    int pid = 0;           // of the thread that ran there
    What what = What::kEntry;
    std::uint64_t number = 0;
    std::uint64_t other = 0;
    std::string text;
    /// Of the thread, where it sends something.
    std::string comm;
    std::shared_ptr<const Stack> stack;  // of kStack
};

}  // namespace ipidefer::blame
