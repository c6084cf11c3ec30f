// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/status.hpp"

#include <algorithm>

#include "base/duration.hpp"
#include "vmm/terms/names.hpp"

namespace ipidefer::segment {
namespace {

using std::chrono::nanoseconds;

unsigned context_of(const ipidefer_segment_slot& slot) noexcept
{
    if (slot.lost != 0 || slot.seen == 0) return IPIDEFER_TRACE_UNKNOWN;
    if ((slot.word & slot.accept_mask) != slot.accept_value)
        return IPIDEFER_TRACE_KERNEL;
    if (slot.state_mask == 0) return IPIDEFER_TRACE_UNKNOWN;
    // Masked: the shift is whatever the segment says.
    const std::uint32_t state =
        (slot.word & slot.state_mask) >> (slot.state_shift & 31);
    if (state == slot.state_user) return IPIDEFER_TRACE_USER;
    if (state == slot.state_guest) return IPIDEFER_TRACE_GUEST;
    if (state == slot.state_idle) return IPIDEFER_TRACE_IDLE;
    return IPIDEFER_TRACE_UNKNOWN;
}

std::map<std::uint8_t, terms::VerdictCounts> counters_of(
    const Segment& segment, const std::vector<std::uint8_t>& typed,
    std::uint32_t target)
{
    std::map<std::uint8_t, terms::VerdictCounts> counters;
    for (std::size_t i = 0; i < typed.size(); ++i) {
        const terms::VerdictCounts c = segment.counters(i, typed[i], target);
        if (c.sum() != 0 || c.max_age != 0) counters[typed[i]] += c;
    }
    return counters;
}

terms::VerdictCounts sum_of(
    const std::map<std::uint8_t, terms::VerdictCounts>& counters)
{
    terms::VerdictCounts sum;
    for (const auto& [vector, c] : counters) sum += c;
    return sum;
}

}  // namespace

terms::VerdictCounts VcpuStatus::total() const { return sum_of(by_vector); }

terms::VerdictCounts VmStatus::total() const
{
    terms::VerdictCounts sum = sum_of(out_of_range);
    for (const VcpuStatus& vcpu : vcpus) sum += vcpu.total();
    return sum;
}

std::optional<nanoseconds> VmStatus::oldest_pending() const
{
    std::optional<nanoseconds> oldest;
    for (const VcpuStatus& vcpu : vcpus)
        // An empty optional is less than any.
        oldest = std::max(oldest, vcpu.oldest_pending);
    return oldest;
}

std::string age_text(const std::optional<nanoseconds>& age)
{
    return age ? format_duration(*age) : "-";
}

VmStatus read_status(const OpenVm& vm, std::uint64_t now)
{
    const Segment& segment = vm.segment();
    VmStatus status;
    const Identity who = segment.identity();
    status.name = vm.label();
    status.id = vm.id();
    status.owner = vm.owner();
    status.producer = who.producer;
    status.pid = who.pid;
    status.life = vm.life();
    status.policy = read_policy(segment);
    status.trace_dropped = segment.trace_dropped();
    const Clock clock = segment.clock();
    const auto typed = segment.typed();
    status.vcpus.resize(segment.vcpus());
    for (std::uint32_t i = 0; i < segment.vcpus(); ++i) {
        VcpuStatus& vcpu = status.vcpus[i];
        vcpu.vcpu = i;
        vcpu.isolated = status.policy.isolated.contains(i);
        vcpu.by_vector = counters_of(segment, typed, i);
        unsigned context = IPIDEFER_TRACE_UNKNOWN;
        for (const ipidefer_segment_slot& slot : segment.view(i)) {
            vcpu.bound = true;
            if (context == IPIDEFER_TRACE_UNKNOWN) context = context_of(slot);
            if (slot.pending_since == 0) continue;
            if (const auto age = clock.age_ns(slot.pending_since, now))
                vcpu.oldest_pending = std::max(
                    vcpu.oldest_pending,
                    std::optional{nanoseconds{static_cast<std::int64_t>(
                        std::min<std::uint64_t>(*age, INT64_MAX))}});
        }
        vcpu.context = terms::context_name(context);
    }
    status.out_of_range = counters_of(segment, typed, segment.vcpus());
    vm.check();
    return status;
}

std::uint64_t read_tsc() noexcept { return __builtin_ia32_rdtsc(); }

}  // namespace ipidefer::segment
