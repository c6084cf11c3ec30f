// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/vm.hpp"

#include <algorithm>
#include <new>

#include "vmm/core/src/context_word.hpp"
#include "vmm/core/src/fault.hpp"
#include "vmm/core/src/tsc.hpp"

namespace ipidefer {

namespace {

constexpr std::uint64_t kFastestTick = 1'000'000;
constexpr std::uint64_t kSlowestTick = 100'000'000;
/// Ticks within one max_age: what is overdue waits at most a quarter longer.
constexpr std::uint64_t kTicksPerAge = 4;

std::uint64_t read_tsc() noexcept { return __builtin_ia32_rdtsc(); }

template <class Part>
Part* part(std::byte* memory, std::size_t offset) noexcept
{
    return reinterpret_cast<Part*>(memory + offset);
}

std::uint8_t trace_context(const ipi_defer_binding& b,
                           std::uint32_t word) noexcept
{
    if (!accepts(b, word)) return IPIDEFER_TRACE_KERNEL;
    switch (contexts_of(b, word)) {
        case IPIDEFER_CONTEXT_USER:
            return IPIDEFER_TRACE_USER;
        case IPIDEFER_CONTEXT_GUEST:
            return IPIDEFER_TRACE_GUEST;
        case IPIDEFER_CONTEXT_IDLE:
            return IPIDEFER_TRACE_IDLE;
        default:  // all of them: the state says nothing
            return IPIDEFER_TRACE_UNKNOWN;
    }
}

ipidefer_trace_entry verdict_event(std::uint32_t sender, std::uint32_t target,
                                   std::uint8_t vector) noexcept
{
    ipidefer_trace_entry event{};
    event.tsc = read_tsc();
    event.sender = sender;
    event.cpu = target;
    event.kind = IPIDEFER_TRACE_VERDICT;
    event.vector = vector;
    event.delivery = IPIDEFER_FIXED;
    return event;
}

}  // namespace

Vm::Vm(const SegmentLayout& layout, std::byte* memory) noexcept
    : typed_{&part<ipidefer_segment_policy>(memory, layout.policy)->trace},
      policy_{part<ipidefer_segment_policy>(memory, layout.policy)},
      count_{layout.vcpus},
      memory_{memory},
      vcpus_{new (std::nothrow) Vcpu[std::size_t{layout.vcpus} + 1]{}},
      counters_{part<ipidefer_segment_counters>(memory, layout.counters),
                layout.vcpus + 1},
      view_{part<ipidefer_segment_view>(memory, layout.view)},
      ring_{memory + layout.ring, layout.ring_entries, layout.ring_entry_bytes,
            part<ipidefer_segment>(memory, 0)}
{
}

Vm::~Vm() { delete[] vcpus_; }

ipidefer_error Vm::set_isolated(std::uint32_t vcpu, bool isolated) noexcept
{
    if (vcpu >= count_) return IPIDEFER_E_VCPU;
    policy_.set_isolated(vcpu, isolated);
    return IPIDEFER_OK;
}

bool Vm::isolated(std::uint32_t vcpu) const noexcept
{
    return vcpu < count_ && policy_.isolated(vcpu);
}

void Vm::set_tsc_hz(std::uint64_t hz) noexcept
{
    // Ordering: RELAXED: a number of its own.
    tsc_hz_.store(hz <= kFastestTsc ? hz : 0, std::memory_order_relaxed);
}

ipidefer_error Vm::bind(std::uint32_t vcpu, const ipi_defer_binding* bindings,
                        std::uint32_t* const* words, std::uint32_t count,
                        ipidefer_fault* fault) noexcept
{
    if (vcpu >= count_)
        return refuse(fault, IPIDEFER_E_VCPU, 0, vcpu, count_ - 1);
    if (count == 0 || count > IPI_DEFER_MAX_BINDINGS)
        return refuse(fault, IPIDEFER_E_COUNT, 0, count,
                      IPI_DEFER_MAX_BINDINGS);
    for (std::uint32_t i = 0; i < count; ++i)
        if (words[i] == nullptr ||
            reinterpret_cast<std::uintptr_t>(words[i]) % sizeof *words[i] != 0)
            return refuse(fault, IPIDEFER_E_WORD, i, bindings[i].word_gpa, 0);
    const std::span table{bindings, count};
    Vcpu& target = vcpus_[vcpu];
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> before;
    const std::span old =
        std::span{before}.first(this->bindings(vcpu, before.data()));
    const unsigned vectors = typed_.bound_after(table, old);
    if (vectors > IPIDEFER_MAX_TYPED)
        return refuse(fault, IPIDEFER_E_VECTORS, 0, vectors,
                      IPIDEFER_MAX_TYPED);

    // New before old: the gate of a vector that stays never closes. Those that
    // need an index come last: it may be that of an old one.
    for (const ipi_defer_binding& b : table)
        if (typed_.known(b.vector)) typed_.take(b.vector);
    drop_all(target);
    for (const ipi_defer_binding& b : table) {
        if (typed_.known(b.vector)) continue;
        give_index(b.vector);
        typed_.take(b.vector);
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        Slot& slot = target.slots[i];
        slot.binding = bindings[i];
        slot.word = words[i];
        slot.line = &counters_.line(vcpu, *typed_.known(bindings[i].vector));
        slot.pending.reset();
    }
    target.count = static_cast<std::uint8_t>(count);
    view_.bind(vcpu, target.view_seq, table);
    return IPIDEFER_OK;
}

void Vm::unbind(std::uint32_t vcpu) noexcept
{
    if (vcpu >= count_) return;
    Vcpu& target = vcpus_[vcpu];
    drop_all(target);
    target.count = 0;
    view_.bind(vcpu, target.view_seq, {});
}

void Vm::lose_word(std::uint32_t vcpu, std::uint32_t slot) noexcept
{
    if (vcpu >= count_) return;
    Vcpu& target = vcpus_[vcpu];
    if (slot >= target.count) return;
    // Ordering: RELAXED: a tick may run beside this, and sees either value.
    // What
    //   the old one points to is the caller's, and stays while a tick runs.
    std::atomic_ref{target.slots[slot].word}.store(nullptr,
                                                   std::memory_order_relaxed);
    view_.lose(vcpu, target.view_seq, slot);
}

std::uint32_t Vm::bindings(std::uint32_t vcpu,
                           ipi_defer_binding* out) const noexcept
{
    const Vcpu& target = vcpus_[row(vcpu)];
    for (std::uint32_t i = 0; i < target.count; ++i)
        out[i] = target.slots[i].binding;
    return target.count;
}

/// The order of the checks is that of the reasons' usefulness to a reader of
/// the counters: the first one that holds is the one to change.
inline ipidefer_verdict Vm::obstacle(std::uint32_t target, const Slot& slot,
                                     std::uint8_t vector) const noexcept
{
    if (!policy_.enabled() || !policy_.vector_allowed(vector))
        return IPIDEFER_DELIVERED_POLICY;
    if (!policy_.isolated(target)) return IPIDEFER_DELIVERED_NOT_ISOLATED;
    if (slot.word == nullptr) return IPIDEFER_DELIVERED_BAD_WORD;
    return IPIDEFER_PASSED;
}

// Kept short enough to need no register that it would have to save: a store
// before a locked instruction is waited for (docs/COST.md).
ipidefer_verdict Vm::decide(std::uint32_t sender, std::uint32_t target,
                            std::uint8_t vector) noexcept
{
    if (traces_verdicts() || policy_.max_age() != 0)
        return decide_watched(sender, target, vector);
    Slot* const slot = vcpus_[row(target)].find(vector);
    if (slot == nullptr) return decide_unbound(sender, target, vector);
    // What is needed afterwards is looked up before: no load passes the CAS.
    ipidefer_segment_counters& line = *slot->line;
    ipidefer_verdict verdict = obstacle(target, *slot, vector);
    if (verdict == IPIDEFER_PASSED)
        verdict = record(*slot->word, slot->binding, policy_.contexts());
    Counters::count(line, verdict);
    // The next tick's time will do, and spares this IPI an rdtsc.
    if (verdict == IPIDEFER_DEFERRED) slot->pending.reset();
    return verdict;
}

/// The same with an audience, or with a limit to the age of work.
ipidefer_verdict Vm::decide_watched(std::uint32_t sender, std::uint32_t target,
                                    std::uint8_t vector) noexcept
{
    Slot* const slot = vcpus_[row(target)].find(vector);
    if (slot == nullptr) return decide_unbound(sender, target, vector);
    ipidefer_segment_counters& line = *slot->line;
    const bool traced = traces_verdicts();
    std::uint32_t word = 0;
    ipidefer_verdict verdict = obstacle(target, *slot, vector);
    const bool looked = verdict == IPIDEFER_PASSED;
    if (looked)
        verdict = record(*slot->word, slot->binding, policy_.contexts(), word);
    Counters::count(line, verdict);
    if (verdict == IPIDEFER_DEFERRED) start_age(target, slot);
    if (traced) [[unlikely]] {
        if (!looked && slot->word != nullptr)
            // Ordering: RELAXED: for the reader's information only.
            word = std::atomic_ref{*slot->word}.load(std::memory_order_relaxed);
        trace_verdict(sender, target, vector, verdict, slot, word);
    }
    return verdict;
}

ipidefer_verdict Vm::decide_blind(std::uint32_t sender, std::uint32_t target,
                                  std::uint8_t vector) noexcept
{
    const Slot* const slot = vcpus_[row(target)].find(vector);
    if (slot == nullptr) return decide_unbound(sender, target, vector);
    ipidefer_verdict verdict = obstacle(target, *slot, vector);
    if (verdict == IPIDEFER_PASSED) verdict = IPIDEFER_DELIVERED_BAD_WORD;
    Counters::count(*slot->line, verdict);
    if (traces_verdicts())
        trace_verdict(sender, target, vector, verdict, nullptr, 0);
    return verdict;
}

/// This vCPU has not bound the vector. Is there any that has?
ipidefer_verdict Vm::decide_unbound(std::uint32_t sender, std::uint32_t target,
                                    std::uint8_t vector) noexcept
{
    const auto typed = typed_.bound(vector);
    if (!typed) return IPIDEFER_PASSED;
    Counters::count(counters_.line(row(target), *typed),
                    IPIDEFER_DELIVERED_NOT_BOUND);
    if (traces_verdicts())
        trace_verdict(sender, target, vector, IPIDEFER_DELIVERED_NOT_BOUND,
                      nullptr, 0);
    return IPIDEFER_DELIVERED_NOT_BOUND;
}

void Vm::start_age(std::uint32_t target, Slot* slot) noexcept
{
    const std::uint64_t now = read_tsc();
    slot->pending.start(now);
    view_.pending(target, vcpus_[target].index_of(slot), now);
}

void Vm::typed_vectors(
    std::span<std::uint8_t, IPIDEFER_SEGMENT_TYPED> out) const noexcept
{
    std::ranges::fill(out, std::uint8_t{0});
    for (unsigned vector = IPI_DEFER_VECTOR_FIRST;
         vector <= IPI_DEFER_VECTOR_LAST; ++vector)
        if (const auto index = typed_.bound(static_cast<std::uint8_t>(vector)))
            out[*index] = static_cast<std::uint8_t>(vector);
}

void Vm::recorded(std::uint32_t vcpu, std::uint32_t slot,
                  std::uint64_t since) noexcept
{
    if (vcpu >= count_ || slot >= vcpus_[vcpu].count) return;
    PendingSince& pending = vcpus_[vcpu].slots[slot].pending;
    // What is older has been looked at: the tick has started to count anew.
    if (since > pending.get()) pending.start(since);
}

std::uint64_t Vm::tick(std::uint64_t now, ipidefer_deliver* deliver,
                       void* opaque) noexcept
{
    // Ordering: RELAXED: see set_tsc_hz().
    leases_.tick(policy_.words(), now, tsc_hz_.load(std::memory_order_relaxed));
    // Read once: it may change, also to nonsense (I7).
    const std::uint64_t limit = policy_.max_age();
    for (std::uint32_t target = 0; target < count_; ++target) {
        Vcpu& vcpu = vcpus_[target];
        for (std::uint32_t i = 0; i < vcpu.count; ++i) {
            Slot& slot = vcpu.slots[i];
            // Read once: a sender may lose the word meanwhile.
            // Ordering: RELAXED: see lose_word().
            std::uint32_t* const place =
                std::atomic_ref{slot.word}.load(std::memory_order_relaxed);
            if (place == nullptr) continue;
            const std::uint64_t known = slot.pending.get();
            // Ordering: RELAXED: a look; nothing is done by what it says but
            //   an interrupt that is correct at any time (I4).
            const std::uint32_t word =
                std::atomic_ref{*place}.load(std::memory_order_relaxed);
            view_.seen(target, i, word, now);
            std::uint64_t since = known;
            if ((word & slot.binding.work_bit) == 0) {
                if (known != 0) since = slot.pending.replace(known, 0);
            } else if (known == 0) {
                since = slot.pending.replace(known, now);
            } else if (limit != 0 && now > known &&
                       overdue(now - known, limit) &&
                       accepts(slot.binding, word)) {
                // Once per max_age, until the guest has done it. A word that
                // does not accept is that of a vCPU in its kernel, which does
                // the work there; or it is some other kernel's memory by now.
                since = slot.pending.replace(known, now);
                Counters::count_expired(*slot.line);
                if (traces_verdicts()) trace_max_age(target, slot, word);
                deliver(opaque, target, slot.binding.vector);
            }
            view_.pending(target, i, since);
        }
    }
    if (limit == 0) return kSlowestTick;
    return std::clamp(limit / kTicksPerAge, kFastestTick, kSlowestTick);
}

bool Vm::overdue(std::uint64_t ticks, std::uint64_t limit_ns) const noexcept
{
    // Ordering: RELAXED: see set_tsc_hz().
    const std::uint64_t hz = tsc_hz_.load(std::memory_order_relaxed);
    // Nobody can tell an age. What is recorded is as good as delivered (I5); an
    // interrupt at every tick would be what all this is there to prevent.
    if (hz == 0) return false;
    std::uint64_t whole = 0;
    if (__builtin_mul_overflow(limit_ns / kNsPerSecond, hz, &whole))
        return false;
    // Below 10^9 * 10^10, which fits.
    const std::uint64_t rest = limit_ns % kNsPerSecond * hz / kNsPerSecond;
    return ticks >= whole && ticks - whole >= rest;
}

void Vm::trace_send(std::uint32_t sender, const ipidefer_icr& icr,
                    const std::uint64_t* targets) noexcept
{
    ipidefer_trace_entry event{};
    event.tsc = read_tsc();
    event.sender = sender;
    event.cpu = IPIDEFER_NO_VCPU;
    event.dest = icr.dest;
    event.kind = IPIDEFER_TRACE_SEND;
    event.vector = icr.vector;
    event.delivery = icr.delivery;
    event.shorthand = icr.shorthand;
    if (icr.logical) event.flags |= IPIDEFER_TRACE_LOGICAL;
    if (icr.x2apic) event.flags |= IPIDEFER_TRACE_X2APIC;
    if (icr.legal) event.flags |= IPIDEFER_TRACE_LEGAL;
    ring_.write(event, {targets, mask_words(count_)});
}

void Vm::trace_verdict(std::uint32_t sender, std::uint32_t target,
                       std::uint8_t vector, ipidefer_verdict verdict,
                       const Slot* slot, std::uint32_t word) noexcept
{
    ipidefer_trace_entry event = verdict_event(sender, target, vector);
    event.verdict = static_cast<std::uint8_t>(verdict);
    if (slot != nullptr && slot->word != nullptr) {
        event.word = word;
        event.context = trace_context(slot->binding, word);
    }
    ring_.write(event, {});
}

void Vm::trace_max_age(std::uint32_t target, const Slot& slot,
                       std::uint32_t word) noexcept
{
    ipidefer_trace_entry event =
        verdict_event(IPIDEFER_NO_VCPU, target, slot.binding.vector);
    event.verdict = IPIDEFER_TRACE_MAX_AGE;
    event.word = word;
    event.context = trace_context(slot.binding, word);
    ring_.write(event, {});
}

bool Vm::counters(std::uint32_t vcpu, std::uint8_t vector,
                  ipidefer_counters& out) const noexcept
{
    out = {};
    const auto typed = typed_.known(vector);
    return typed && counters_.get(row(vcpu), *typed, out);
}

std::uint64_t Vm::expired(std::uint32_t vcpu,
                          std::uint8_t vector) const noexcept
{
    const auto typed = typed_.known(vector);
    return typed ? counters_.expired(row(vcpu), *typed) : 0;
}

void Vm::count_merged(std::uint32_t vcpu, std::uint8_t vector) noexcept
{
    if (const auto typed = typed_.known(vector))
        Counters::count_merged(counters_.line(row(vcpu), *typed));
}

std::uint64_t Vm::merged(std::uint32_t vcpu, std::uint8_t vector) const noexcept
{
    const auto typed = typed_.known(vector);
    return typed ? counters_.merged(row(vcpu), *typed) : 0;
}

/// Let a vector have an index, and tell who reads the counters: an index that
/// changes hands has vector 0 until its counters are zero.
void Vm::give_index(std::uint8_t vector) noexcept
{
    auto& header = *part<ipidefer_segment>(memory_, 0);
    const auto [index, recycled] = typed_.reserve(vector);
    const std::atomic_ref shown{header.typed_vector[index]};
    if (recycled) {
        // Ordering: RELAXED: before the RELEASE stores of clear(): who reads a
        //   cleared counter finds 0, or a later vector, at a second look.
        shown.store(0, std::memory_order_relaxed);
        for (std::uint32_t r = 0; r <= count_; ++r)
            Counters::clear(counters_.line(r, index));
    }
    // Ordering: RELEASE: the zeroes before the vector, the vector before the
    //   number of them; pair with the acquires of the readers.
    shown.store(vector, std::memory_order_release);
    std::atomic_ref{header.typed_used}.store(typed_.used(),
                                             std::memory_order_release);
}

void Vm::drop_all(const Vcpu& vcpu) noexcept
{
    for (const Slot& slot : std::span{vcpu.slots}.first(vcpu.count))
        typed_.drop(slot.binding.vector);
}

}  // namespace ipidefer
