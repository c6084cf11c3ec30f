// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/snapshot.hpp"

#include <algorithm>

namespace ipidefer::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto kFresh = 500ms;
constexpr auto kShortestInterval = 1s;
constexpr auto kLongestInterval = 30s;

}  // namespace

void Snapshot::add(const segment::VmStatus& vm,
                   const std::optional<DomainIdentity>& domain)
{
    if (vms.size() == kMaxVmsShown) {
        ++vms_not_shown;
        return;
    }
    ShownVm& shown = vms.emplace_back();
    shown.name = vm.name;
    shown.id = vm.id;
    shown.owner = vm.owner;
    shown.producer = vm.producer;
    shown.pid = vm.pid;
    shown.life = vm.life;
    shown.policy = vm.policy;
    shown.domain = domain;
    shown.oldest_pending = vm.oldest_pending();
    shown.total = vm.total();
    shown.trace_dropped = vm.trace_dropped;
    shown.vcpus = vm.vcpus.size();
    for (const bool isolated : {true, false})
        for (const auto& vcpu : vm.vcpus) {
            if (vcpu.isolated != isolated) continue;
            if (isolated && !vcpu.bound)
                shown.isolated_unbound.insert(vcpu.vcpu);
            if (shown.shown.size() == kMaxVcpusOfVm ||
                vcpus_shown_ == kMaxVcpusShown)
                continue;
            ++vcpus_shown_;
            shown.shown.push_back({vcpu.vcpu, vcpu.isolated, vcpu.bound,
                                   vcpu.context, vcpu.oldest_pending,
                                   vcpu.total()});
        }
}

SnapshotPtr Snapshots::now(Clock::time_point at)
{
    if (latest_ && at - latest_->when < kFresh) return latest_;
    auto taken = std::make_shared<Snapshot>(take_());
    taken->when = at;
    // The older one stays until the newer one is old enough for rates.
    if (latest_ && at - latest_->when >= kShortestInterval) previous_ = latest_;
    latest_ = std::move(taken);
    return latest_;
}

SnapshotPtr Snapshots::before(Clock::time_point at) const noexcept
{
    for (const SnapshotPtr& one : {latest_, previous_})
        if (one && at - one->when >= kShortestInterval &&
            at - one->when <= kLongestInterval)
            return one;
    return nullptr;
}

}  // namespace ipidefer::daemon
