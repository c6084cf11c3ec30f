// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/interceptor.hpp"

#include "base/failure.hpp"

namespace ipidefer::vmm {
namespace {

/// At 100 ms or less each.
constexpr unsigned kTicksPerClockSample = 10;

}  // namespace

Interceptor::Interceptor(const terms::PolicyChange& policy, bool trace,
                         unsigned vcpus, const GuestMemory& memory,
                         const std::optional<SegmentConfig>& segment)
    : memory_{memory}, vm_{vcpus, segment}, registers_(vcpus)
{
    terms::apply(policy, *ipidefer_policy_words(vm_.get()), vcpus);
    if (trace) ipidefer_set_trace(vm_.get(), IPIDEFER_TRACE_ALL);
    vm_.publish();
}

std::array<CpuidLeaf, IPI_DEFER_CPUID_LEAVES> Interceptor::cpuid()
{
    return {{{IPI_DEFER_CPUID_DEFAULT,
              IPI_DEFER_CPUID_DEFAULT + IPI_DEFER_CPUID_LEAVES - 1,
              IPI_DEFER_SIGNATURE_EBX, IPI_DEFER_SIGNATURE_ECX,
              IPI_DEFER_SIGNATURE_EDX},
             {IPI_DEFER_CPUID_DEFAULT + 1, IPI_DEFER_VERSION, IPI_DEFER_F_ICR,
              IPI_DEFER_MAX_BINDINGS, 0}}};
}

bool Interceptor::refuse(const ipidefer_fault& fault)
{
    char text[200];
    refusal_ = ipidefer_fault_text(&fault, text, sizeof(text));
    ++refused_;
    return false;
}

bool Interceptor::write_register(unsigned vcpu, std::uint64_t value)
{
    ipidefer_registration registration{};
    ipidefer_fault fault{};
    if (ipidefer_register_decode(value, &registration, &fault) != IPIDEFER_OK)
        return refuse(fault);
    if (registration.count == 0) {
        end_registration(vcpu);
        return true;
    }

    // I7: the guest may rewrite its table at any time. Copied once; all that
    // follows looks at the copy.
    alignas(ipi_defer_binding) std::array<std::byte, IPI_DEFER_TABLE_BYTES>
        raw{};
    const auto table = std::span{raw}.first(registration.table_bytes);
    if (!memory_.copy_from(registration.table_gpa, table)) {
        fault = {IPIDEFER_E_TABLE_SIZE, 0, registration.table_gpa,
                 memory_.ram().size()};
        return refuse(fault);
    }
    ipi_defer_binding bindings[IPI_DEFER_MAX_BINDINGS];
    if (ipidefer_table_decode(raw.data(), table.size(), registration.count,
                              bindings, &fault) != IPIDEFER_OK)
        return refuse(fault);

    std::uint32_t* words[IPI_DEFER_MAX_BINDINGS] = {};
    for (std::uint32_t i = 0; i < registration.count; ++i) {
        words[i] = memory_.writable_word(bindings[i].word_gpa);
        if (words[i] == nullptr) {
            fault = {IPIDEFER_E_WORD, i, bindings[i].word_gpa,
                     memory_.ram().size()};
            return refuse(fault);
        }
    }
    if (ipidefer_bind(vm_.get(), vcpu, bindings, words, registration.count,
                      &fault) != IPIDEFER_OK)
        return refuse(fault);
    registers_[vcpu] = value;
    ++accepted_;
    return true;
}

void Interceptor::end_registration(unsigned vcpu)
{
    ipidefer_unbind(vm_.get(), vcpu);
    registers_[vcpu] = 0;
}

bool Interceptor::decide(unsigned sender, unsigned target,
                         std::uint8_t vector) noexcept
{
    return ipidefer_suppresses(
        ipidefer_decide_from(vm_.get(), sender, target, vector));
}

std::uint64_t Interceptor::tick(ipidefer_deliver* deliver, void* opaque)
{
    if (++ticks_ % kTicksPerClockSample == 0) ipidefer_shm_set_clock(vm_.shm());
    return ipidefer_tick(vm_.get(), __builtin_ia32_rdtsc(), deliver, opaque);
}

terms::VerdictCounts Interceptor::counts(unsigned vcpu,
                                         std::uint8_t vector) const
{
    ipidefer_counters counters{};
    ipidefer_counters_get(vm_.get(), vcpu, vector, &counters);
    return {counters, ipidefer_expired(vm_.get(), vcpu, vector)};
}

}  // namespace ipidefer::vmm
