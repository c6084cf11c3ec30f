// SPDX-License-Identifier: GPL-2.0-or-later
// Seats: the host CPUs that a domain's threads may run on, and whether isolated
// vCPUs have theirs to themselves.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/cpulist.hpp"
#include "host/domain/domain.hpp"

namespace ipidefer::domain {

enum class Fit {
    kRight,
    kMissing,  // nobody has said where
    kWrong,    // somebody has, and it does not do
};

struct Seat {
    enum class Who { kVcpu, kEmulator, kIothread };
    Who who;
    unsigned number;  // of a vCPU or iothread
    bool isolated;
    Fit fit;
    std::string why;  // when wrong

    [[nodiscard]] std::string name() const;
};

/// Of all vCPUs, in their order, then of the emulator, then of iothreads.
/// @param isolated vCPUs
[[nodiscard]] std::vector<Seat> seats(const Domain& domain,
                                      const CpuSet& isolated);

/// Host CPU -> how many isolated vCPUs are pinned to it and to nothing else.
using Holders = std::map<unsigned, unsigned>;
[[nodiscard]] Holders holders(const Domain& domain, const CpuSet& isolated);

/// That of one isolated vCPU, for who asks vCPU by vCPU.
[[nodiscard]] Seat isolated_seat(const Domain& domain, const Holders& holders,
                                 unsigned vcpu);

/// Host CPUs that isolated vCPUs have to themselves.
[[nodiscard]] CpuSet taken_cpus(const Domain& domain, const CpuSet& isolated);

}  // namespace ipidefer::domain
