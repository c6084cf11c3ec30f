// SPDX-License-Identifier: GPL-2.0-or-later
// The guest that the core's tests imagine: one word layout, its bindings, and
// a VM handle that cleans up.
#ifndef IPIDEFER_TESTS_GUEST_LAYOUT_HPP
#define IPIDEFER_TESTS_GUEST_LAYOUT_HPP

#include <ipidefer/ipidefer.h>

#include <cstdint>
#include <memory>

namespace ipidefer::test {

//  31          17    16    15        8 7       2 1    0
// | counter, rest |watching|   work   |   rest  | state |
inline constexpr std::uint32_t kStateMask = 0x0000'0003;  // [1:0]
inline constexpr std::uint32_t kFirstWork = 0x0000'0100;  // [15:8]
inline constexpr std::uint32_t kWorkMask = 0x0000'ff00;
inline constexpr std::uint32_t kWatching = 0x0001'0000;  // [16]

enum State : std::uint32_t { kKernel = 0, kIdle = 1, kUser = 2, kGuest = 3 };

/// Bits that take no part in any decision, to expose a write of more than one
/// bit or a comparison of too many.
inline constexpr std::uint32_t kBystanders = 0xa5a4'00a4;
static_assert((kBystanders & (kStateMask | kWorkMask | kWatching)) == 0);

inline constexpr std::uint64_t kWordGpa = 0x1234'5670;
inline constexpr std::uint8_t kVector = 0xf1;

inline ipi_defer_binding make_binding(std::uint8_t vector = kVector,
                                      std::uint32_t work_bit = kFirstWork)
{
    ipi_defer_binding b{};
    b.word_gpa = kWordGpa;
    b.accept_mask = kWatching;
    b.accept_value = 0;
    b.work_bit = work_bit;
    b.state_mask = kStateMask;
    b.state_shift = 0;
    b.vector = vector;
    b.state_user = kUser;
    b.state_guest = kGuest;
    b.state_idle = kIdle;
    return b;
}

struct VmDeleter {
    void operator()(ipidefer_vm* vm) const { ipidefer_vm_destroy(vm); }
};
using VmPtr = std::unique_ptr<ipidefer_vm, VmDeleter>;

inline VmPtr make_vm(std::uint32_t vcpus)
{
    return VmPtr{ipidefer_vm_create(vcpus)};
}

/// Bind one vector of one vCPU to `word` and isolate the vCPU.
inline ipidefer_error bind_isolated(ipidefer_vm* vm, std::uint32_t vcpu,
                                    std::uint32_t& word,
                                    std::uint8_t vector = kVector)
{
    const ipi_defer_binding b = make_binding(vector);
    std::uint32_t* const words[] = {&word};
    if (const auto error = ipidefer_set_isolated(vm, vcpu, true)) return error;
    return ipidefer_bind(vm, vcpu, &b, words, 1, nullptr);
}

/// One counter of (vcpu, vector).
inline std::uint64_t counted(const ipidefer_vm* vm, std::uint32_t vcpu,
                             std::uint8_t vector, ipidefer_verdict verdict)
{
    ipidefer_counters c;
    ipidefer_counters_get(vm, vcpu, vector, &c);
    return c.verdict[verdict];
}

/// All verdicts of (vcpu, vector).
inline std::uint64_t counted_total(const ipidefer_vm* vm, std::uint32_t vcpu,
                                   std::uint8_t vector)
{
    ipidefer_counters c;
    ipidefer_counters_get(vm, vcpu, vector, &c);
    std::uint64_t sum = 0;
    for (const std::uint64_t n : c.verdict) sum += n;
    return sum;
}

}  // namespace ipidefer::test

#endif  // IPIDEFER_TESTS_GUEST_LAYOUT_HPP
