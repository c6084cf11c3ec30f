// SPDX-License-Identifier: GPL-2.0-or-later
// Host CPUs of their own for isolated vCPUs, as an operator gives them.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/cpulist.hpp"

namespace ipidefer::lab {

/// Are they among those that there are? Throws a Failure.
void check_pin(const std::vector<unsigned>& hosts, const CpuSet& there);
/// The same of this machine, which must have one more for the rest of QEMU.
void check_pin_here(const std::vector<unsigned>& hosts);

/// Binds the threads of the isolated vCPUs to one host CPU each, in order, and
/// all others of QEMU, and those that it is to have, to what else there is.
/// @param cpus what query-cpus-fast says
/// Throws a Failure.
void pin(pid_t qemu, const nlohmann::json& cpus, const CpuSet& isolated,
         const std::vector<unsigned>& hosts);

}  // namespace ipidefer::lab
