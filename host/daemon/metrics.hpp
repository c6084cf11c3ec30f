// SPDX-License-Identifier: GPL-2.0-or-later
// Metrics: the fleet in Prometheus' text format.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <map>
#include <string>

#include "config.hpp"
#include "domains.hpp"
#include "status.hpp"

namespace ipidefer::daemon {

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

    /// @param broken   segments that cannot be read
    /// @param left_out segments that are not watched
    [[nodiscard]] std::string text(std::size_t broken, std::size_t left_out);

  private:
    using Family = prometheus::MetricFamily;

    void vcpus_of(const segment::VmStatus& vm);
    void sums_of(const segment::VmStatus& vm);
    void counters(const std::string& domain, const std::string& vcpu,
                  const std::map<std::uint8_t, segment::Counters>& by_vector);
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
