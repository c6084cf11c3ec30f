// SPDX-License-Identifier: GPL-2.0-or-later
// In place of the isolated application, a nested guest on each isolated vCPU:
// our own VMM with one vCPU, pinned there, whose guest spins and never exits.
// The kernel's context is then GUEST.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/process.hpp"

namespace ipidefer::lab::agent {

class NestedGuests {
  public:
    /// KVM's own counts of one nested guest, since its start.
    struct Seen {
        unsigned cpu;
        std::uint64_t exits;
        std::uint64_t interrupt_exits;  // forced by an interrupt of the vCPU
    };

    /// Loads KVM if need be, and starts a guest on each of `cpus`, its VMM's
    /// other thread where we may run; returns when all of them spin. Throws.
    explicit NestedGuests(const std::vector<unsigned>& cpus);

    /// End the guests: each vCPU leaves for the kernel.
    void stop();
    [[nodiscard]] std::vector<Seen> seen() const;

  private:
    struct Guest {
        unsigned cpu;
        std::unique_ptr<Process> vmm;
    };
    void start(unsigned cpu);

    std::vector<Guest> guests_;
};

}  // namespace ipidefer::lab::agent
