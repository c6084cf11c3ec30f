// SPDX-License-Identifier: GPL-2.0-or-later
// Snapshot: the fleet at one moment, cut down to what a page for people shows.
// Bounded, whatever VMs show of themselves.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/daemon/domains.hpp"
#include "host/segment/status.hpp"

namespace ipidefer::daemon {

/// What is shown at most; the page says how many are not.
inline constexpr std::size_t kMaxVmsShown = 200;
inline constexpr std::size_t kMaxVcpusOfVm = 64;
inline constexpr std::size_t kMaxVcpusShown = 1024;

struct ShownVcpu {
    std::uint32_t vcpu = 0;
    bool isolated = false;
    bool bound = false;
    std::string context;
    std::optional<std::chrono::nanoseconds> oldest_pending;
    terms::VerdictCounts total;
};

struct ShownVm {
    std::string name;
    std::string id;
    uid_t owner = 0;
    std::string producer;
    std::uint64_t pid = 0;
    segment::Life life = segment::Life::kUnknown;
    terms::Policy policy;
    std::optional<DomainIdentity> domain;
    std::optional<std::chrono::nanoseconds> oldest_pending;
    terms::VerdictCounts total;
    std::uint64_t trace_dropped = 0;
    std::size_t vcpus = 0;
    CpuSet
        isolated_unbound;  // isolated vCPUs that the guest has not registered
    std::vector<ShownVcpu> shown;  // isolated ones first
};

struct Snapshot {
    std::chrono::steady_clock::time_point when{};
    std::vector<ShownVm> vms;
    std::size_t vms_not_shown = 0;
    std::map<std::string, std::string> broken;  // segments, and why
    std::size_t left_out = 0;                   // segments that are not watched
    std::size_t audit_kept = 0;  // entries that the audit log lacks
    std::uint64_t audit_lost = 0;
    std::optional<bool> libvirt;  // whether it tells of its domains

    /// @param domain that libvirt says the VM is
    void add(const segment::VmStatus& vm,
             const std::optional<DomainIdentity>& domain);

  private:
    std::size_t vcpus_shown_ = 0;
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

/// Those that were taken for whoever looks, so that many who look cost what one
/// does.
class Snapshots final {
  public:
    using Take = std::function<Snapshot()>;
    using Clock = std::chrono::steady_clock;

    explicit Snapshots(Take take) : take_{std::move(take)} {}

    /// As it is now, or was less than half a second ago.
    [[nodiscard]] SnapshotPtr now(Clock::time_point at = Clock::now());
    /// One that rates can be told from: some seconds old. Or none.
    [[nodiscard]] SnapshotPtr before(
        Clock::time_point at = Clock::now()) const noexcept;

  private:
    Take take_;
    SnapshotPtr previous_;
    SnapshotPtr latest_;
};

}  // namespace ipidefer::daemon
