// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/segment.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <numeric>
#include <thread>

#include "base/duration.hpp"
#include "base/failure.hpp"

namespace ipidefer::segment {
namespace {

/// A writer needs nanoseconds, if it runs: so a few tries at once, and then
/// some with a pause, for one that was interrupted. Together some milliseconds;
/// more only help whoever writes all the time, to keep us here.
constexpr int kTriesAtOnce = 64;
constexpr int kTries = kTriesAtOnce + 40;
constexpr auto kPause = std::chrono::microseconds{50};

[[noreturn]] void refuse(const std::string& why)
{
    throw Failure{Exit::kCannotRun, "not a segment: " + why};
}

/// Is the part at `offset` within the memory, and aligned?
void check_part(const char* what, std::uint64_t offset, std::uint64_t size,
                std::size_t bytes)
{
    if (offset % IPIDEFER_SEGMENT_ALIGN != 0)
        refuse("its " + std::string{what} + " at " + std::to_string(offset) +
               " is not aligned to " + std::to_string(IPIDEFER_SEGMENT_ALIGN));
    if (offset < sizeof(ipidefer_segment) || offset > bytes ||
        size > bytes - offset)
        refuse("its " + std::string{what} + ", " + std::to_string(size) +
               " bytes at " + std::to_string(offset) + ", lies outside its " +
               std::to_string(bytes) + " bytes");
}

template <std::size_t Size>
std::string text_of(const char (&field)[Size])
{
    std::string text;
    for (const char& c : field) {
        const char now = load(c);
        if (now == '\0') break;
        text += now;
    }
    return text;
}

/// Copy what lies under a sequence number, or nothing if it keeps changing.
template <class Copy>
auto consistent(const std::uint32_t& seq, const char* what, Copy copy)
{
    for (int i = 0; i < kTries; ++i) {
        if (i >= kTriesAtOnce) std::this_thread::sleep_for(kPause);
        const std::uint32_t before = load(seq);
        if ((before & 1) != 0) continue;
        decltype(copy()) result;
        if (copied_whole(seq, before, [&] { result = copy(); })) return result;
    }
    throw Failure{Exit::kCannotRun, std::string{"its "} + what +
                                        " is being written all the time"};
}

}  // namespace

std::optional<std::int64_t> Clock::monotonic_ns(
    std::uint64_t tsc) const noexcept
{
    if (tsc_hz == 0) return std::nullopt;
    const double ticks =
        static_cast<double>(static_cast<std::int64_t>(tsc - sample.tsc));
    const double ns =
        ticks * double{kNsPerSecond} / static_cast<double>(tsc_hz);
    // Nonsense must not overflow.
    constexpr double kFar = 4e18;
    return static_cast<std::int64_t>(
        static_cast<std::uint64_t>(
            static_cast<std::int64_t>(std::clamp(ns, -kFar, kFar))) +
        sample.monotonic_ns);
}

std::optional<std::uint64_t> Clock::age_ns(std::uint64_t tsc,
                                           std::uint64_t now) const noexcept
{
    if (tsc_hz == 0) return std::nullopt;
    if (now <= tsc) return 0;
    constexpr double kFar = 1e19;
    return static_cast<std::uint64_t>(
        std::min(static_cast<double>(now - tsc) * double{kNsPerSecond} /
                     static_cast<double>(tsc_hz),
                 kFar));
}

Segment::Segment(const void* memory, std::size_t bytes)
    : memory_{static_cast<const std::byte*>(memory)}, at_{check(memory_, bytes)}
{
}

Segment::Layout Segment::check(const std::byte* memory, std::size_t bytes)
{
    if (bytes < sizeof(ipidefer_segment))
        refuse("it has " + std::to_string(bytes) + " bytes, its header needs " +
               std::to_string(sizeof(ipidefer_segment)));
    const auto& h = *reinterpret_cast<const ipidefer_segment*>(memory);
    if (load(h.magic) != IPIDEFER_SEGMENT_MAGIC)
        refuse("it does not begin with IPIDSEG1");
    if (const auto version = load(h.version);
        version != IPIDEFER_SEGMENT_VERSION)
        refuse("its version is " + std::to_string(version) +
               ", this program knows " +
               std::to_string(IPIDEFER_SEGMENT_VERSION) +
               (version < IPIDEFER_SEGMENT_VERSION
                    ? ": its VMM is older, use the tools that came with it"
                    : ": its VMM is newer, use the tools that came with it"));
    // A larger one has fields behind those that we know.
    if (const auto size = load(h.header_bytes);
        size < sizeof h || size > IPIDEFER_SEGMENT_ALIGN)
        refuse("its header says that it has " + std::to_string(size) +
               " bytes, not " + std::to_string(sizeof h) + " to " +
               std::to_string(IPIDEFER_SEGMENT_ALIGN));
    if (const auto total = load(h.total_bytes); total > bytes)
        refuse("it is truncated to " + std::to_string(bytes) + " of " +
               std::to_string(total) + " bytes");

    // Each field once: it may change between two looks.
    const Layout at{load(h.vcpus),
                    load(h.ring_entries),
                    load(h.ring_entry_bytes),
                    load(h.policy_offset),
                    load(h.counters_offset),
                    load(h.view_offset),
                    load(h.ring_offset)};
    if (at.vcpus == 0 || at.vcpus > IPIDEFER_SEGMENT_MAX_VCPUS)
        refuse("it has " + std::to_string(at.vcpus) + " vCPUs, not 1 to " +
               std::to_string(IPIDEFER_SEGMENT_MAX_VCPUS));
    const std::uint64_t least =
        sizeof(ipidefer_trace_entry) + (at.vcpus + 63) / 64 * 8;
    if (at.ring_entry_bytes < least || at.ring_entry_bytes % 8 != 0 ||
        at.ring_entry_bytes > IPIDEFER_SEGMENT_ALIGN)
        refuse("its trace entries have " + std::to_string(at.ring_entry_bytes) +
               " bytes, need " + std::to_string(least));
    if (at.ring_entries > IPIDEFER_SEGMENT_MAX_RING ||
        (at.ring_entries != 0 && !std::has_single_bit(at.ring_entries)))
        refuse("its trace ring has " + std::to_string(at.ring_entries) +
               " entries, not 0 or a power of two up to " +
               std::to_string(IPIDEFER_SEGMENT_MAX_RING));
    check_part("policy", at.policy, sizeof(ipidefer_segment_policy), bytes);
    check_part("counters", at.counters,
               std::uint64_t{at.vcpus + 1} * IPIDEFER_SEGMENT_TYPED *
                   sizeof(ipidefer_segment_counters),
               bytes);
    check_part("live view", at.view,
               std::uint64_t{at.vcpus} * sizeof(ipidefer_segment_view), bytes);
    check_part("trace ring", at.ring,
               std::uint64_t{at.ring_entries} * at.ring_entry_bytes, bytes);
    return at;
}

Identity Segment::identity() const
{
    const ipidefer_segment& h = header();
    return {text_of(h.name), text_of(h.producer), load(h.pid), load(h.pid_ns)};
}

std::uint32_t Segment::state() const noexcept { return load(header().state); }

Clock Segment::clock() const
{
    const ipidefer_segment& h = header();
    Clock clock = consistent(h.clock_seq, "clock", [&h] {
        Clock c;
        c.sample = {load(h.clock.tsc), load(h.clock.monotonic_ns),
                    load(h.clock.realtime_ns)};
        c.tsc_hz = load(h.tsc_hz);
        return c;
    });
    if (load(h.guest_tsc_known) != 0)
        clock.guest_tsc_offset = load(h.guest_tsc_offset);
    return clock;
}

std::vector<std::uint8_t> Segment::typed() const
{
    const std::uint32_t used =
        std::min(load(header().typed_used), IPIDEFER_SEGMENT_TYPED);
    std::vector<std::uint8_t> vectors(used);
    for (std::uint32_t i = 0; i < used; ++i)
        vectors[i] = load(header().typed_vector[i]);
    return vectors;
}

terms::VerdictCounts Segment::counters(std::size_t typed, std::uint8_t vector,
                                       std::uint32_t target) const
{
    if (typed >= IPIDEFER_SEGMENT_TYPED || target > at_.vcpus) return {};
    // Ordering: ACQUIRE: the looks at the vector come before and after those at
    //   its counters; pairs with Vm::give_index() and Counters::clear().
    const auto still = [this, typed, vector] {
        return load(header().typed_vector[typed]) == vector;
    };
    if (vector == 0 || !still()) return {};
    const auto& line = part<ipidefer_segment_counters>(
        at_.counters)[typed * (std::size_t{at_.vcpus} + 1) + target];
    terms::VerdictCounts counts;
    for (const ipidefer_verdict verdict : terms::kCountedVerdicts)
        counts[verdict] = load(line.verdict[verdict - 1]);
    counts.max_age = load(line.max_age);
    return still() ? counts : terms::VerdictCounts{};
}

std::vector<ipidefer_segment_slot> Segment::view(std::uint32_t vcpu) const
{
    if (vcpu >= at_.vcpus) return {};
    const auto& view = part<ipidefer_segment_view>(at_.view)[vcpu];
    return consistent(view.seq, "live view", [&view] {
        std::vector<ipidefer_segment_slot> slots(
            std::min(load(view.count), IPIDEFER_SEGMENT_SLOTS));
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const ipidefer_segment_slot& from = view.slot[i];
            ipidefer_segment_slot& to = slots[i];
            to.word_gpa = load(from.word_gpa);
            to.accept_mask = load(from.accept_mask);
            to.accept_value = load(from.accept_value);
            to.work_bit = load(from.work_bit);
            to.state_mask = load(from.state_mask);
            to.state_shift = load(from.state_shift);
            to.vector = load(from.vector);
            to.state_user = load(from.state_user);
            to.state_guest = load(from.state_guest);
            to.state_idle = load(from.state_idle);
            to.lost = load(from.lost);
            to.word = load(from.word);
            to.seen = load(from.seen);
            to.pending_since = load(from.pending_since);
        }
        return slots;
    });
}

const ipidefer_segment_policy& Segment::policy() const noexcept
{
    return *part<ipidefer_segment_policy>(at_.policy);
}

const ipidefer_trace_entry& Segment::ring_entry(
    std::uint64_t index) const noexcept
{
    return *part<ipidefer_trace_entry>(at_.ring + index * at_.ring_entry_bytes);
}

std::uint64_t Segment::trace_dropped() const noexcept
{
    return load(header().trace_dropped);
}

std::uint64_t Segment::trace_next() const noexcept
{
    return load(header().trace_next);
}

}  // namespace ipidefer::segment
