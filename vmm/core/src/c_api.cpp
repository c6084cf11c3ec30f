// SPDX-License-Identifier: GPL-2.0-or-later
// The C interface: each function hands over to the class that knows.
#include <ipidefer/ipidefer.h>

#include <new>
#include <type_traits>

#include "binding.hpp"
#include "destination.hpp"
#include "doorbell.hpp"
#include "fault.hpp"
#include "icr.hpp"
#include "names.hpp"
#include "vm.hpp"

struct ipidefer_vm {
    ipidefer::Vm vm;
};

// ipidefer_typed() reads the gate at the handle's address: standard layout
// puts a first member there, and a first member's first member too.
static_assert(std::is_standard_layout_v<ipidefer_vm>);

ipidefer_vm* ipidefer_vm_create(uint32_t vcpus)
{
    if (vcpus == 0 || vcpus > IPIDEFER_MAX_VCPUS) return nullptr;
    auto* vm = new (std::nothrow) ipidefer_vm{ipidefer::Vm{vcpus}};
    if (vm != nullptr && !vm->vm.allocated()) {
        delete vm;
        return nullptr;
    }
    return vm;
}

void ipidefer_vm_destroy(ipidefer_vm* vm) { delete vm; }

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

const char* ipidefer_fault_text(const ipidefer_fault* f, char* buf, size_t size)
{
    ipidefer::describe(*f, buf, size);
    return buf;
}

ipidefer_verdict ipidefer_decide(ipidefer_vm* vm, uint32_t target,
                                 uint8_t vector)
{
    return vm->vm.decide(target, vector);
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
