// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/router.hpp"

#include <array>
#include <mutex>

namespace ipidefer::vmm {
namespace {

constexpr unsigned kBits = 64;

}  // namespace

Router::Router(Interceptor& interceptor, unsigned vcpus)
    : interceptor_{interceptor}, ends_(vcpus)
{
}

void Router::connect(unsigned vcpu, Kickable& kickable,
                     const ipidefer_apic& apic)
{
    ends_[vcpu].kickable = &kickable;
    ends_[vcpu].apic = apic;
}

void Router::set_identity(unsigned vcpu, const ipidefer_apic& apic)
{
    const std::unique_lock alone{lock_};
    ends_[vcpu].apic = apic;
}

std::uint64_t Router::read_register(unsigned vcpu) const
{
    const std::shared_lock shared{lock_};
    return interceptor_.read_register(vcpu);
}

bool Router::write_register(unsigned vcpu, std::uint64_t value)
{
    const std::unique_lock alone{lock_};
    return interceptor_.write_register(vcpu, value);
}

void Router::end_registration(unsigned vcpu)
{
    const std::unique_lock alone{lock_};
    interceptor_.end_registration(vcpu);
}

/// Only what is bound, fixed and edge-triggered is asked about (I3).
bool Router::records(unsigned sender, unsigned target, const ipidefer_icr& icr)
{
    return icr.deferrable && interceptor_.typed(icr.vector) &&
           interceptor_.decide(sender, target, icr.vector);
}

/// Whatever it is, and whomever it names.
void Router::trace(unsigned sender, const ipidefer_icr& icr) noexcept
{
    std::array<std::uint64_t, IPIDEFER_MAX_VCPUS / kBits> targets{};
    for (unsigned target = 0; target < ends_.size(); ++target)
        if (ipidefer_icr_names(&icr, &ends_[target].apic, target == sender))
            targets[target / kBits] |= std::uint64_t{1} << target % kBits;
    interceptor_.trace_send(sender, icr, targets);
}

void Router::deliver(unsigned target, const ipidefer_icr& icr)
{
    End& end = ends_[target];
    switch (static_cast<ipidefer_delivery>(icr.delivery)) {
        case IPIDEFER_FIXED:
        case IPIDEFER_LOWEST:
            end.inbox.post_fixed(icr.vector);
            break;
        case IPIDEFER_NMI:
            end.inbox.post_nmi();
            break;
        case IPIDEFER_INIT:
            // The de-assert form does nothing since the Pentium 4. 11.6.1.
            if (icr.level_trigger && !icr.assert_level) return;
            end.inbox.post_init();
            break;
        case IPIDEFER_SIPI:
            end.inbox.post_sipi(icr.vector);
            break;
        case IPIDEFER_SMI:  // there is no SMM here
        case IPIDEFER_DELIVERY_RESERVED:
        case IPIDEFER_EXTINT:
            return;
    }
    end.kickable->kick();
}

bool Router::send(unsigned sender, const ipidefer_icr& icr)
{
    const bool has_vector =
        icr.delivery == IPIDEFER_FIXED || icr.delivery == IPIDEFER_LOWEST;
    const std::shared_lock shared{lock_};
    if (interceptor_.tracing()) trace(sender, icr);
    if (has_vector && icr.vector < IPIDEFER_FIRST_LEGAL_VECTOR) return false;

    for (unsigned target = 0; target < ends_.size(); ++target) {
        if (!ipidefer_icr_names(&icr, &ends_[target].apic, target == sender))
            continue;
        if (!records(sender, target, icr)) deliver(target, icr);
        // Arbitration among candidates is ours: the lowest number wins.
        if (icr.delivery == IPIDEFER_LOWEST) break;
    }
    return true;
}

std::uint64_t Router::tick()
{
    const std::shared_lock shared{lock_};
    return interceptor_.tick(
        [](void* router, std::uint32_t vcpu, std::uint8_t vector) {
            static_cast<Router*>(router)->deliver(vcpu,
                                                  ipidefer_icr_x2apic(vector));
        },
        this);
}

}  // namespace ipidefer::vmm
