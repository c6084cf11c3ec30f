// SPDX-License-Identifier: GPL-2.0-or-later
// The C interface: each function hands over to the class that knows.
#include <ipidefer/ipidefer.h>

#include <cstddef>
#include <new>
#include <span>
#include <type_traits>

#include "vmm/core/src/binding.hpp"
#include "vmm/core/src/destination.hpp"
#include "vmm/core/src/doorbell.hpp"
#include "vmm/core/src/fault.hpp"
#include "vmm/core/src/icr.hpp"
#include "vmm/core/src/names.hpp"
#include "vmm/core/src/segment_layout.hpp"
#include "vmm/core/src/trace_leases.hpp"
#include "vmm/core/src/vm.hpp"

struct ipidefer_vm {
    ipidefer::Vm vm;
    std::byte* own;  // nullptr: the memory is the caller's
};

// ipidefer_typed() reads the gate at the handle's address: standard layout
// puts a first member there, and a first member's first member too.
static_assert(std::is_standard_layout_v<ipidefer_vm>);

namespace {

constexpr std::align_val_t kSegmentAlign{IPIDEFER_SEGMENT_ALIGN};

/// @param own whether the VM is to free the memory
ipidefer_vm* create(const ipidefer::SegmentLayout& layout, std::byte* memory,
                    bool own)
{
    ipidefer::write_segment_header(memory, layout);
    auto* vm = new (std::nothrow)
        ipidefer_vm{ipidefer::Vm{layout, memory}, own ? memory : nullptr};
    if (vm == nullptr) {
        if (own) ::operator delete(memory, kSegmentAlign);
        return nullptr;
    }
    if (vm->vm.allocated()) return vm;
    ipidefer_vm_destroy(vm);
    return nullptr;
}

}  // namespace

ipidefer_vm* ipidefer_vm_create(uint32_t vcpus)
{
    const auto layout = ipidefer::segment_layout(vcpus, 0);
    if (layout.bytes == 0) return nullptr;
    void* memory = ::operator new(layout.bytes, kSegmentAlign, std::nothrow);
    if (memory == nullptr) return nullptr;
    return create(layout, static_cast<std::byte*>(memory), true);
}

size_t ipidefer_segment_bytes(uint32_t vcpus, uint32_t ring_entries)
{
    return ipidefer::segment_layout(vcpus, ring_entries).bytes;
}

ipidefer_vm* ipidefer_vm_create_in(void* memory, size_t bytes, uint32_t vcpus,
                                   uint32_t ring_entries)
{
    const auto layout = ipidefer::segment_layout(vcpus, ring_entries);
    if (layout.bytes == 0 || bytes < layout.bytes ||
        reinterpret_cast<std::uintptr_t>(memory) % IPIDEFER_SEGMENT_ALIGN != 0)
        return nullptr;
    return create(layout, static_cast<std::byte*>(memory), false);
}

void ipidefer_vm_destroy(ipidefer_vm* vm)
{
    if (vm == nullptr) return;
    std::byte* const own = vm->own;
    delete vm;
    if (own != nullptr) ::operator delete(own, kSegmentAlign);
}

uint32_t ipidefer_vm_vcpus(const ipidefer_vm* vm) { return vm->vm.vcpus(); }

void ipidefer_set_enabled(ipidefer_vm* vm, bool enabled)
{
    vm->vm.policy().set_enabled(enabled);
}

bool ipidefer_enabled(const ipidefer_vm* vm)
{
    return vm->vm.policy().enabled();
}

ipidefer_error ipidefer_set_isolated(ipidefer_vm* vm, uint32_t vcpu,
                                     bool isolated)
{
    return vm->vm.set_isolated(vcpu, isolated);
}

bool ipidefer_isolated(const ipidefer_vm* vm, uint32_t vcpu)
{
    return vm->vm.isolated(vcpu);
}

void ipidefer_set_contexts(ipidefer_vm* vm, uint32_t contexts)
{
    vm->vm.policy().set_contexts(contexts);
}

uint32_t ipidefer_contexts(const ipidefer_vm* vm)
{
    return vm->vm.policy().contexts();
}

void ipidefer_set_vector_allowed(ipidefer_vm* vm, uint8_t vector, bool allowed)
{
    vm->vm.policy().set_vector_allowed(vector, allowed);
}

bool ipidefer_vector_allowed(const ipidefer_vm* vm, uint8_t vector)
{
    return vm->vm.policy().vector_allowed(vector);
}

void ipidefer_set_max_age(ipidefer_vm* vm, uint64_t ns)
{
    vm->vm.policy().set_max_age(ns);
}

uint64_t ipidefer_max_age(const ipidefer_vm* vm)
{
    return vm->vm.policy().max_age();
}

void ipidefer_set_trace(ipidefer_vm* vm, uint32_t kinds)
{
    vm->vm.policy().set_trace(kinds);
}

ipidefer_segment_policy* ipidefer_policy_words(ipidefer_vm* vm)
{
    return &vm->vm.policy().words();
}

uint32_t ipidefer_trace(const ipidefer_vm* vm)
{
    return vm->vm.policy().trace();
}

ipidefer_error ipidefer_register_decode(uint64_t value,
                                        ipidefer_registration* out,
                                        ipidefer_fault* fault)
{
    return ipidefer::decode_register(value, *out, fault);
}

ipidefer_error ipidefer_table_decode(const void* raw, size_t bytes,
                                     uint32_t count, ipi_defer_binding* out,
                                     ipidefer_fault* fault)
{
    return ipidefer::decode_table(raw, bytes, count, out, fault);
}

ipidefer_error ipidefer_bind(ipidefer_vm* vm, uint32_t vcpu,
                             const ipi_defer_binding* bindings,
                             uint32_t* const* words, uint32_t count,
                             ipidefer_fault* fault)
{
    return vm->vm.bind(vcpu, bindings, words, count, fault);
}

void ipidefer_unbind(ipidefer_vm* vm, uint32_t vcpu) { vm->vm.unbind(vcpu); }

void ipidefer_lose_word(ipidefer_vm* vm, uint32_t vcpu, uint32_t slot)
{
    vm->vm.lose_word(vcpu, slot);
}

uint32_t ipidefer_bindings(const ipidefer_vm* vm, uint32_t vcpu,
                           ipi_defer_binding* out)
{
    return vm->vm.bindings(vcpu, out);
}

void ipidefer_typed_vectors(const ipidefer_vm* vm,
                            uint8_t out[IPIDEFER_SEGMENT_TYPED])
{
    vm->vm.typed_vectors(std::span<uint8_t, IPIDEFER_SEGMENT_TYPED>{
        out, IPIDEFER_SEGMENT_TYPED});
}

const char* ipidefer_fault_text(const ipidefer_fault* f, char* buf, size_t size)
{
    ipidefer::describe(*f, buf, size);
    return buf;
}

ipidefer_verdict ipidefer_decide(ipidefer_vm* vm, uint32_t target,
                                 uint8_t vector)
{
    return vm->vm.decide(IPIDEFER_NO_VCPU, target, vector);
}

ipidefer_verdict ipidefer_decide_from(ipidefer_vm* vm, uint32_t sender,
                                      uint32_t target, uint8_t vector)
{
    return vm->vm.decide(sender, target, vector);
}

ipidefer_verdict ipidefer_decide_blind(ipidefer_vm* vm, uint32_t sender,
                                       uint32_t target, uint8_t vector)
{
    return vm->vm.decide_blind(sender, target, vector);
}

void ipidefer_set_tsc_hz(ipidefer_vm* vm, uint64_t hz)
{
    vm->vm.set_tsc_hz(hz);
}

uint64_t ipidefer_tick(ipidefer_vm* vm, uint64_t now, ipidefer_deliver* deliver,
                       void* opaque)
{
    return vm->vm.tick(now, deliver, opaque);
}

void ipidefer_recorded(ipidefer_vm* vm, uint32_t vcpu, uint32_t slot,
                       uint64_t since)
{
    vm->vm.recorded(vcpu, slot, since);
}

uint64_t ipidefer_expired(const ipidefer_vm* vm, uint32_t vcpu, uint8_t vector)
{
    return vm->vm.expired(vcpu, vector);
}

void ipidefer_count_merged(ipidefer_vm* vm, uint32_t vcpu, uint8_t vector)
{
    vm->vm.count_merged(vcpu, vector);
}

uint64_t ipidefer_merged(const ipidefer_vm* vm, uint32_t vcpu, uint8_t vector)
{
    return vm->vm.merged(vcpu, vector);
}

void ipidefer_trace_send(ipidefer_vm* vm, uint32_t sender,
                         const ipidefer_icr* icr, const uint64_t* targets)
{
    vm->vm.trace_send(sender, *icr, targets);
}

bool ipidefer_lease_take(ipidefer_segment_policy* words, uint32_t kinds,
                         uint32_t holder, ipidefer_lease* lease)
{
    return ipidefer::take_lease(*words, kinds, holder, *lease);
}

bool ipidefer_lease_renew(ipidefer_segment_policy* words, ipidefer_lease* lease)
{
    return ipidefer::renew_lease(*words, *lease);
}

void ipidefer_lease_end(ipidefer_segment_policy* words, ipidefer_lease* lease)
{
    ipidefer::end_lease(*words, *lease);
}

const char* ipidefer_verdict_name(ipidefer_verdict v)
{
    return ipidefer::verdict_name(v);
}

bool ipidefer_counters_get(const ipidefer_vm* vm, uint32_t vcpu, uint8_t vector,
                           ipidefer_counters* out)
{
    return vm->vm.counters(vcpu, vector, *out);
}

ipidefer_icr ipidefer_icr_xapic(uint32_t low, uint32_t high)
{
    return ipidefer::decode_icr_xapic(low, high);
}

ipidefer_icr ipidefer_icr_x2apic(uint64_t value)
{
    return ipidefer::decode_icr_x2apic(value);
}

bool ipidefer_icr_names(const ipidefer_icr* icr, const ipidefer_apic* target,
                        bool is_self)
{
    return ipidefer::names(*icr, *target, is_self);
}

ipidefer_error ipidefer_doorbell_decode(uint64_t value, ipidefer_icr* out,
                                        ipidefer_fault* fault)
{
    return ipidefer::decode_doorbell(value, *out, fault);
}

ipidefer_error ipidefer_multi_address(uint64_t value, ipidefer_fault* fault)
{
    return ipidefer::check_multi_address(value, fault);
}

ipidefer_error ipidefer_multi_decode(const void* raw, size_t bytes,
                                     ipidefer_multi* out, ipidefer_fault* fault)
{
    return ipidefer::decode_multi(raw, bytes, *out, fault);
}

bool ipidefer_multi_names(const ipidefer_multi* multi, uint32_t apic_id)
{
    return ipidefer::names(*multi, apic_id);
}
