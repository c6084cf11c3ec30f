// SPDX-License-Identifier: GPL-2.0-or-later
// A VM whose segment another process writes (I7): whatever it writes, every
// decision is a verdict, and the guest's word changes by its work bit only.
// Input: records of ten bytes, an operation or an offset and a value.
#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/segment_memory.hpp"

namespace {

using ipidefer::test::kFirstWork;
using ipidefer::test::kUser;
using ipidefer::test::kVector;

constexpr std::uint32_t kVcpus = 2;
constexpr std::uint32_t kRing = 4;

void require(bool condition)
{
    if (!condition) std::abort();
}

void decide(ipidefer_vm* vm, std::uint32_t& word)
{
    word = kUser;
    const auto verdict = ipidefer_decide_from(vm, 0, 1, kVector);
    require(verdict > IPIDEFER_PASSED && verdict < IPIDEFER_VERDICTS);
    require(word ==
            (ipidefer_suppresses(verdict) ? kUser | kFirstWork : kUser));
}

void tick(ipidefer_vm* vm, std::uint32_t& word, std::uint64_t now)
{
    const std::uint32_t before = word;
    unsigned deliveries = 0;
    const std::uint64_t next = ipidefer_tick(
        vm, now,
        [](void* count, std::uint32_t vcpu, std::uint8_t vector) {
            require(vcpu == 1 && vector == kVector);
            ++*static_cast<unsigned*>(count);
        },
        &deliveries);
    require(word == before);
    require(deliveries <= 1);
    require(next >= 1'000'000 && next <= 100'000'000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    constexpr std::size_t kRecord = 10;
    const std::size_t bytes = ipidefer_segment_bytes(kVcpus, kRing);
    const auto memory = ipidefer::test::make_segment_memory(bytes);
    const ipidefer::test::VmPtr vm{
        ipidefer_vm_create_in(memory.get(), bytes, kVcpus, kRing)};
    require(vm != nullptr);
    std::uint32_t word = kUser;
    require(ipidefer::test::bind_isolated(vm.get(), 1, word) == IPIDEFER_OK);
    ipidefer_set_trace(vm.get(), IPIDEFER_TRACE_ALL);

    for (; size >= kRecord; data += kRecord, size -= kRecord) {
        std::uint16_t where = 0;
        std::uint64_t value = 0;
        std::memcpy(&where, data, sizeof where);
        std::memcpy(&value, data + 2, sizeof value);
        // Half of the offsets are the policy's.
        const std::size_t offset =
            where < 0x8000 ? IPIDEFER_SEGMENT_ALIGN +
                                 where % sizeof(ipidefer_segment_policy)
                           : std::size_t{where} * 2 % bytes;
        std::memcpy(memory.get() + std::min(offset, bytes - sizeof value),
                    &value, sizeof value);
        decide(vm.get(), word);
        tick(vm.get(), word, value);
        if ((where & 3) == 0) {
            ipidefer_unbind(vm.get(), 1);
            require(ipidefer_decide(vm.get(), 1, kVector) == IPIDEFER_PASSED);
            require(ipidefer::test::bind_isolated(vm.get(), 1, word) ==
                    IPIDEFER_OK);
        }
        const ipidefer_icr icr = ipidefer_icr_x2apic(value);
        const std::uint64_t targets = value;
        ipidefer_trace_send(vm.get(), where, &icr, &targets);
    }
    return 0;
}
