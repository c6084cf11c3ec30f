// SPDX-License-Identifier: GPL-2.0-or-later
// Plan: what has to be changed in a domain XML so that its isolated vCPUs are
// left alone, and the XML with these changes. What somebody has set otherwise
// is a conflict, and is left unless it may be replaced.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/check/host_cpus.hpp"
#include "host/domain/domain.hpp"
#include "host/domain/emulator.hpp"

namespace ipidefer::domain {

struct PlanOptions {
    std::optional<CpuSet> isolated;  // vCPUs; else those of the object
    /// Host CPUs for isolated vCPUs; else those that the host isolates.
    std::optional<CpuSet> host_isolated;
    /// Host CPUs for everything else; else those that the host does not.
    std::optional<CpuSet> host_housekeeping;
    std::string emulator;     // path; else the domain's own
    std::string mode = "hv";  // of the guest: ipi_defer=
    bool segment = true;
    bool replace = false;  // what is in conflict
};

struct Change {
    enum class Kind {
        kChange,
        kConflict,  // somebody else's setting: not changed
        kNote,      // nothing that a domain XML can say
    };
    std::string name;  // stable: scripts look for it
    Kind kind;
    std::string what;
};

struct Plan {
    std::vector<Change> changes;
    std::string xml;

    [[nodiscard]] bool has(Change::Kind kind) const;
};

/// @param emulator of the resulting domain, where it could be asked
/// Throws Failure when the options do not fit the domain or the host.
[[nodiscard]] Plan make_plan(const std::string& xml, const PlanOptions& options,
                             const check::HostCpus& host,
                             const std::optional<Emulator>& emulator);

}  // namespace ipidefer::domain
