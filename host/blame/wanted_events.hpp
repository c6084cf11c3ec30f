// SPDX-License-Identifier: GPL-2.0-or-later
// Which of the kernel's trace events attribution needs, and what of them.
#pragma once

#include <cstdint>
#include <string_view>

#include "host/blame/event.hpp"

namespace ipidefer::blame {

enum class Filter : std::uint8_t {
    kNone,
    kThread,     // by one of the vCPUs' threads
    kTargetCpu,  // field "cpu" is one of theirs
};

struct Wanted {
    const char* system;
    const char* name;
    Event::What what;
    Filter filter;
    const char* number = nullptr;  // fields
    const char* other = nullptr;
    const char* function = nullptr;  // an address, to be a name in text
    const char* text = nullptr;
    bool needed = false;
};

inline constexpr Wanted kWanted[] = {
    {"kvm", "kvm_entry", Event::What::kEntry, Filter::kThread, nullptr, nullptr,
     nullptr, nullptr, true},
    {"kvm", "kvm_exit", Event::What::kExit, Filter::kThread, "exit_reason",
     "isa", nullptr, nullptr, true},
    {"kvm", "kvm_inj_virq", Event::What::kInject, Filter::kThread, "vector"},
    {"kvm", "kvm_apic_accept_irq", Event::What::kAccept, Filter::kNone,
     "apicid", "vec"},
    {"kvm", "kvm_apic_ipi", Event::What::kIpi, Filter::kThread, "icr_low"},
    {"kvm", "kvm_msi_set_irq", Event::What::kMsi, Filter::kNone, "data"},
    {"kvm", "kvm_set_irq", Event::What::kLine, Filter::kNone, "gsi"},
    {"kvm", "kvm_userspace_exit", Event::What::kToUserspace, Filter::kThread,
     "reason", "errno"},
    {"kvm", "kvm_page_fault", Event::What::kPageFault, Filter::kThread},
    {"irq_vectors", "local_timer_entry", Event::What::kLocalTimer,
     Filter::kThread},
    {"irq_vectors", "reschedule_entry", Event::What::kReschedule,
     Filter::kThread},
    {"irq_vectors", "irq_work_entry", Event::What::kIrqWork, Filter::kThread},
    {"timer", "hrtimer_expire_entry", Event::What::kTimerRuns, Filter::kThread,
     nullptr, nullptr, "function"},
    {"irq", "irq_handler_entry", Event::What::kDeviceIrq, Filter::kThread,
     nullptr, nullptr, nullptr, "name"},
    {"csd", "csd_queue_cpu", Event::What::kCallQueued, Filter::kTargetCpu,
     "cpu", nullptr, "func"},
    {"csd", "csd_function_entry", Event::What::kCallRuns, Filter::kThread,
     nullptr, nullptr, "func"},
    {"ipi", "ipi_send_cpu", Event::What::kIpiSent, Filter::kTargetCpu, "cpu",
     nullptr, "callback"},
    {"sched", "sched_switch", Event::What::kSwitch, Filter::kThread,
     "prev_state", nullptr, nullptr, "next_comm"},
};

/// With stacks: what the kernel writes, and which events it is to write one
/// for. A function call's IPI comes with no stack of its own, as the call has
/// one.
inline constexpr Wanted kStackWanted{
    "ftrace", "kernel_stack", Event::What::kStack, Filter::kNone, "size"};
inline constexpr const char* kCaller = "caller";
struct Stacked {
    const char* system;
    const char* event;
    const char* filter;  // besides that of the CPU
};
inline constexpr Stacked kStacked[] = {
    {"csd", "csd_queue_cpu", ""}, {"ipi", "ipi_send_cpu", "callback == 0 && "}};
/// An address that stands for code that no symbol names (kernel/trace/trace.h).
inline constexpr std::uint64_t kTrampoline = 0x7fffffff;
/// How functions begin that write an event, of which the kernel leaves some at
/// a stack's innermost end.
inline constexpr std::string_view kWritesEvents[] = {
    "trace_event_raw_event_", "trace_event_buffer_", "event_triggers_",
    "stacktrace_trigger"};

}  // namespace ipidefer::blame
