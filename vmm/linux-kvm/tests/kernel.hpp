// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's decision, compiled for userspace: what its header asks of who
// includes it, and a VM whose words and segment are plain memory.
//
// Not handled: memslots, dirty pages, locks. KVM holds a target's lock over
// each decision; here the caller does.
#ifndef IPIDEFER_LINUX_KVM_TESTS_KERNEL_HPP
#define IPIDEFER_LINUX_KVM_TESTS_KERNEL_HPP

#include <ipidefer/ipidefer.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ipidefer::kernel {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
struct typed_ipi_memory {};
struct typed_ipi_word {
    u32* at;  // nullptr: the page is not there
};

#define noinline __attribute__((noinline))
#define READ_ONCE(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define smp_store_release(place, value) \
    __atomic_store_n((place), (value), __ATOMIC_RELEASE)

inline u64 typed_ipi_number(u64* counter)
{
    return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}
inline void typed_ipi_count(u64* counter) { typed_ipi_number(counter); }

inline bool typed_ipi_claim(u64* at, u64 seen, u64 next)
{
    return __atomic_compare_exchange_n(at, &seen, next, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

inline u64 typed_ipi_clock() { return __builtin_ia32_rdtsc(); }

// Its warnings are those that kernels are compiled with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma push_macro("NULL")
#undef NULL
#define NULL nullptr
#include "vmm/linux-kvm/src/ipi_defer_decide.h"
#pragma pop_macro("NULL")
#pragma GCC diagnostic pop
#undef noinline

/// How often words were read by themselves, and not to be written.
inline thread_local int reads = 0;

inline int typed_ipi_read(const typed_ipi_memory*, typed_ipi_slot* slot,
                          u32* seen)
{
    ++reads;
    if (slot->word.at == nullptr) return -EFAULT;
    *seen = __atomic_load_n(slot->word.at, __ATOMIC_RELAXED);
    return 0;
}

/// How often somebody else will have changed a word ahead of us.
inline thread_local int others_first = 0;

inline int typed_ipi_cmpxchg(const typed_ipi_memory*, typed_ipi_slot* slot,
                             u32* seen, u32 next)
{
    if (slot->word.at == nullptr) return -EFAULT;
    if (others_first > 0) {
        --others_first;
        return 1;
    }
    // x86's locked instruction is fully ordered; the kernel has no weaker one.
    return __atomic_compare_exchange_n(slot->word.at, seen, next, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
               ? 0
               : 1;
}

/// What KVM makes of KVM_X86_IPI_DEFER_START and _BIND.
class Vm {
  public:
    /// @param segment as ipidefer_vm_create_in() has laid it out
    Vm(std::byte* segment, u32 vcpus) : targets_(vcpus + 1)
    {
        auto* header = reinterpret_cast<ipidefer_segment*>(segment);
        vm_.header = header;
        vm_.policy = reinterpret_cast<ipidefer_segment_policy*>(
            segment + header->policy_offset);
        vm_.counters = reinterpret_cast<ipidefer_segment_counters*>(
            segment + header->counters_offset);
        vm_.ring = reinterpret_cast<u8*>(segment + header->ring_offset);
        vm_.ring_entries = header->ring_entries;
        vm_.ring_entry_bytes = header->ring_entry_bytes;
        vm_.vcpus = vcpus;
        for (u32 row = 0; row <= vcpus; ++row)
            typed_ipi_set_row(&vm_, &targets_[row], row);
    }

    /// @param library that has bound the same, and knows the counters' indices
    void bind(const ipidefer_vm* library, u32 row,
              const std::vector<ipi_defer_binding>& table,
              const std::vector<u32*>& words)
    {
        u8 typed[IPIDEFER_SEGMENT_TYPED];
        ipidefer_typed_vectors(library, typed);
        for (u8& number : vm_.number) number = 0;
        for (u8 i = 0; i < IPIDEFER_SEGMENT_TYPED; ++i)
            if (typed[i] != 0) vm_.number[typed[i]] = static_cast<u8>(i + 1);
        typed_ipi_target& target = targets_[row];
        target.count = static_cast<u32>(table.size());
        for (std::size_t i = 0; i < table.size(); ++i) {
            typed_ipi_slot& slot = target.slot[i];
            slot.binding = table[i];
            slot.word = {words[i]};
            slot.lost = false;
            slot.since = 0;
            slot.needs = TYPED_IPI_NO_GUESS;
            slot.line = typed_ipi_line(
                &vm_, row, static_cast<u8>(vm_.number[table[i].vector] - 1));
        }
    }

    void lose_word(u32 row, u32 slot)
    {
        typed_ipi_lose(&targets_[row].slot[slot]);
    }
    void take_page(u32 row, u32 slot)
    {
        targets_[row].slot[slot].word = {nullptr};
    }
    void unbind(u32 row) { targets_[row].count = 0; }

    ipidefer_verdict decide(u32 sender, u32 row, u8 vector)
    {
        const auto request = typed_ipi_request(&vm_, {}, sender, vector);
        if (typed_ipi_again(&request, &targets_[row]))
            return IPIDEFER_COALESCED;
        return typed_ipi_decide_anew(&vm_, &request, &targets_[row]);
    }
    void trace_send(u32 sender, u32 icr, u32 dest, bool x2apic,
                    const u64* targets)
    {
        typed_ipi_trace_send(&vm_, sender, icr, dest, x2apic, targets);
    }
    [[nodiscard]] u64 since(u32 row, u32 slot) const
    {
        return targets_[row].slot[slot].since;
    }

  private:
    typed_ipi_vm vm_{};
    std::vector<typed_ipi_target> targets_;
};

}  // namespace ipidefer::kernel

#endif  // IPIDEFER_LINUX_KVM_TESTS_KERNEL_HPP
