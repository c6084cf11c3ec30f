// SPDX-License-Identifier: GPL-2.0-or-later
#include "vm.hpp"

#include <new>
#include <span>

#include "context_word.hpp"
#include "fault.hpp"

namespace ipidefer {

Vm::Vm(std::uint32_t vcpus) noexcept
    : count_{vcpus},
      vcpus_{new (std::nothrow) Vcpu[std::size_t{vcpus} + 1]{}},
      counters_{vcpus + 1}
{
}

Vm::~Vm() { delete[] vcpus_; }

ipidefer_error Vm::set_isolated(std::uint32_t vcpu, bool isolated) noexcept
{
    if (vcpu >= count_) return IPIDEFER_E_VCPU;
    // Ordering: RELAXED: a flag of its own, like those of policy.hpp.
    vcpus_[vcpu].isolated.store(isolated, std::memory_order_relaxed);
    return IPIDEFER_OK;
}

bool Vm::isolated(std::uint32_t vcpu) const noexcept
{
    // Ordering: RELAXED: see set_isolated().
    return vcpus_[row(vcpu)].isolated.load(std::memory_order_relaxed);
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
    const unsigned vectors = typed_.with(table);
    if (vectors > IPIDEFER_MAX_TYPED)
        return refuse(fault, IPIDEFER_E_VECTORS, 0, vectors,
                      IPIDEFER_MAX_TYPED);

    typed_.reserve(table);
    // New before old: the gate of a vector that stays never closes.
    for (const ipi_defer_binding& b : table) typed_.take(b.vector);
    Vcpu& target = vcpus_[vcpu];
    drop_all(target);
    for (std::uint32_t i = 0; i < count; ++i)
        target.slots[i] = {bindings[i], words[i]};
    target.count = static_cast<std::uint8_t>(count);
    return IPIDEFER_OK;
}

void Vm::unbind(std::uint32_t vcpu) noexcept
{
    if (vcpu >= count_) return;
    Vcpu& target = vcpus_[vcpu];
    drop_all(target);
    target.count = 0;
}

void Vm::lose_word(std::uint32_t vcpu, std::uint32_t slot) noexcept
{
    if (vcpu >= count_) return;
    Vcpu& target = vcpus_[vcpu];
    if (slot < target.count) target.slots[slot].word = nullptr;
}

std::uint32_t Vm::bindings(std::uint32_t vcpu,
                           ipi_defer_binding* out) const noexcept
{
    const Vcpu& target = vcpus_[row(vcpu)];
    for (std::uint32_t i = 0; i < target.count; ++i)
        out[i] = target.slots[i].binding;
    return target.count;
}

ipidefer_verdict Vm::decide(std::uint32_t target, std::uint8_t vector) noexcept
{
    const auto typed = typed_.bound(vector);
    if (!typed) return IPIDEFER_PASSED;
    const ipidefer_verdict verdict = judge(vcpus_[row(target)], vector);
    counters_.count(row(target), *typed, verdict);
    return verdict;
}

/// The order of the checks is that of the reasons' usefulness to a reader of
/// the counters: the first one that holds is the one to change.
ipidefer_verdict Vm::judge(const Vcpu& vcpu, std::uint8_t vector) const noexcept
{
    const Slot* slot = vcpu.find(vector);
    if (slot == nullptr) return IPIDEFER_DELIVERED_NOT_BOUND;
    if (!policy_.enabled() || !policy_.vector_allowed(vector))
        return IPIDEFER_DELIVERED_POLICY;
    // Ordering: RELAXED: see set_isolated().
    if (!vcpu.isolated.load(std::memory_order_relaxed))
        return IPIDEFER_DELIVERED_NOT_ISOLATED;
    if (slot->word == nullptr) return IPIDEFER_DELIVERED_BAD_WORD;
    return record(*slot->word, slot->binding, policy_.contexts());
}

bool Vm::counters(std::uint32_t vcpu, std::uint8_t vector,
                  ipidefer_counters& out) const noexcept
{
    out = {};
    const auto typed = typed_.known(vector);
    return typed && counters_.get(row(vcpu), *typed, out);
}

const Vm::Slot* Vm::Vcpu::find(std::uint8_t vector) const noexcept
{
    const auto end = slots.begin() + count;
    const auto slot = std::find_if(slots.begin(), end, [vector](const Slot& s) {
        return s.binding.vector == vector;
    });
    return slot == end ? nullptr : &*slot;
}

void Vm::drop_all(const Vcpu& vcpu) noexcept
{
    for (const Slot& slot : std::span{vcpu.slots}.first(vcpu.count))
        typed_.drop(slot.binding.vector);
}

}  // namespace ipidefer
