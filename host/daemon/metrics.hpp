// SPDX-License-Identifier: GPL-2.0-or-later
// Metrics: the fleet in Prometheus' text format.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <map>
#include <string>

#include "host/daemon/config.hpp"
#include "host/daemon/domains.hpp"
#include "host/segment/status.hpp"

namespace ipidefer::daemon {

/// What is not about one VM.
struct DaemonState {
    std::size_t broken = 0;        // segments that cannot be read
    std::size_t left_out = 0;      // segments that are not watched
    std::size_t audit_kept = 0;    // entries that the audit log lacks yet
    std::uint64_t audit_lost = 0;  // and those that it will lack
};

/// One scrape. Bounded, whatever VMs show of themselves: a VM with more samples
/// than a VM may have is summed up over its vCPUs (vcpu="all"), and so is one
/// that comes when there are nearly as many samples as there may be; when there
/// is no room for sums either, it is left out. A metric tells how many samples
/// are missing. VMs that were added first come first.
class Scrape final {
  public:
    Scrape(const Limits& limits, const LibvirtState& libvirt);

    /// @param vm its name is the label "domain", in UTF-8, of no other VM
    void add(const segment::VmStatus& vm);

    /// What is missing of VMs, by name, for a log.
    [[nodiscard]] const std::map<std::string, std::string>& missing()
        const noexcept
    {
        return missing_;
    }

    [[nodiscard]] std::string text(const DaemonState& state);

  private:
    using Family = prometheus::MetricFamily;

    void vcpus_of(const segment::VmStatus& vm);
    void sums_of(const segment::VmStatus& vm);
    void counters(
        const std::string& domain, const std::string& vcpu,
        const std::map<std::uint8_t, terms::VerdictCounts>& by_vector);
    void oldest(const std::string& domain, const std::string& vcpu,
                const std::optional<std::chrono::nanoseconds>& age);

    Limits limits_;
    LibvirtState libvirt_;
    std::size_t vms_ = 0;
    std::size_t samples_ = 0;
    std::map<std::string, std::string> missing_;
    Family info_, enabled_, isolated_, ipis_, expired_, oldest_, dropped_,
        samples_missing_;
};

}  // namespace ipidefer::daemon
