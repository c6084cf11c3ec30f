// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt "bus": from an ICR write to the inboxes of the vCPUs that it
// names, by way of the interceptor. Destinations and the ICR's format are
// libipidefer's business.
//
// Lock order: routing lock, then a vCPU's kick lock. Senders share the routing
// lock; what changes an APIC's identity or a registration holds it alone.
#pragma once

#include <ipidefer/ipidefer.h>

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "vmm/kvm/src/inbox.hpp"
#include "vmm/kvm/src/interceptor.hpp"

namespace ipidefer::vmm {

/// Makes a vCPU look at its inbox soon.
class Kickable {
  public:
    virtual void kick() = 0;

  protected:
    ~Kickable() = default;
};

class Router {
  public:
    Router(Interceptor& interceptor, unsigned vcpus);

    /// Before any thread routes.
    void connect(unsigned vcpu, Kickable& kickable, const ipidefer_apic& apic);

    [[nodiscard]] Inbox& inbox(unsigned vcpu) noexcept
    {
        return ends_[vcpu].inbox;
    }
    void set_identity(unsigned vcpu, const ipidefer_apic& apic);

    /// Sends one IPI. @return false: its vector is illegal; nothing was sent,
    /// and the sender's ESR should say so.
    [[nodiscard]] bool send(unsigned sender, const ipidefer_icr& icr);

    /// From time to time, with a segment: delivers what has waited too long.
    /// @return nanoseconds after which to call again
    std::uint64_t tick();

    // The interceptor, with the lock that each call needs.
    [[nodiscard]] std::uint64_t read_register(unsigned vcpu) const;
    [[nodiscard]] bool write_register(unsigned vcpu, std::uint64_t value);
    void end_registration(unsigned vcpu);

  private:
    struct End {
        Inbox inbox;
        Kickable* kickable = nullptr;
        ipidefer_apic apic{};
    };
    void trace(unsigned sender, const ipidefer_icr& icr) noexcept;
    void deliver(unsigned target, const ipidefer_icr& icr);
    [[nodiscard]] bool records(unsigned sender, unsigned target,
                               const ipidefer_icr& icr);

    Interceptor& interceptor_;
    std::vector<End> ends_;
    mutable std::shared_mutex lock_;
};

}  // namespace ipidefer::vmm
