// SPDX-License-Identifier: GPL-2.0-or-later
// Trace lease: a VM is traced while this lives, whatever other readers do, and
// for a few seconds longer if the process is killed.
#pragma once

#include <ipidefer/ipidefer.h>

#include <chrono>
#include <cstdint>
#include <random>

#include "base/failure.hpp"
#include "host/segment/open.hpp"

namespace ipidefer::segment {

class TraceLease final {
  public:
    using Clock = std::chrono::steady_clock;

    /// @param vm    writable; outlives this
    /// @param kinds OR of ipidefer_trace_kind
    /// Throws Failure when too many readers have it traced already.
    TraceLease(OpenVm& vm, std::uint32_t kinds) : vm_{&vm}, kinds_{kinds}
    {
        take();
    }
    ~TraceLease() { ipidefer_lease_end(&vm_->policy(), &lease_); }
    TraceLease(const TraceLease&) = delete;
    TraceLease& operator=(const TraceLease&) = delete;

    /// Call this several times a second.
    /// @return false when the VM had ended the lease, since this process stood
    ///         still for too long: events are missing, and a new one was taken
    [[nodiscard]] bool keep()
    {
        const auto now = Clock::now();
        if (now - renewed_ < kRenewal) return true;
        renewed_ = now;
        if (ipidefer_lease_renew(&vm_->policy(), &lease_)) return true;
        take();
        return false;
    }

  private:
    /// Several times within IPIDEFER_LEASE_NS.
    static constexpr auto kRenewal = std::chrono::milliseconds{300};

    void take()
    {
        if (!ipidefer_lease_take(&vm_->policy(), kinds_, std::random_device{}(),
                                 &lease_))
            throw Failure{Exit::kCannotRun,
                          "VM '" + vm_->label() +
                              "': " + std::to_string(IPIDEFER_SEGMENT_LEASES) +
                              " readers trace it already, which is the limit"};
        renewed_ = Clock::now();
    }

    OpenVm* vm_;
    std::uint32_t kinds_;
    ipidefer_lease lease_{};
    Clock::time_point renewed_;
};

}  // namespace ipidefer::segment
