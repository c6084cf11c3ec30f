// SPDX-License-Identifier: GPL-2.0-or-later
// Session: one guest, from boot to power-off, and the workloads that run in it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "experiments/lab/arrivals.hpp"
#include "experiments/lab/machine.hpp"
#include "experiments/lab/options.hpp"
#include "experiments/lab/progress.hpp"
#include "experiments/lab/qemu_command.hpp"
#include "experiments/lab/run.hpp"
#include "host/segment/open.hpp"

namespace ipidefer::lab {

/// What is booted.
struct Boot {
    Mode mode;
    Turn turn;

    [[nodiscard]] Arm arm() const { return {mode, turn.letter}; }
};

/// "mode hv", "repetition 3 of 10, mode off/A, cpus=8".
[[nodiscard]] std::string title(const Options& options, const Boot& boot);

class Session {
  public:
    Session(Machine& machine, const Options& options, const Boot& boot,
            IpiDefer ipi_defer, Progress& progress);
    boost::asio::awaitable<void> boot(Guest& guest);
    boost::asio::awaitable<Run> run(const Workload& workload);

  private:
    void show(const std::string& what);
    boost::asio::awaitable<void> work(const Workload& workload);
    boost::asio::awaitable<Snapshot> ask_guest_counters(
        const std::string& what);
    /// @return what had come to the isolated vCPUs when they were at rest;
    /// nothing for those that never are. They are measured all the same: that
    /// is what the report then shows.
    boost::asio::awaitable<std::optional<Arrivals>> settle();
    /// Snapshot A. An interrupt that was sent before it and comes behind it
    /// would be one that nobody sent, so it is one during which nothing comes
    /// or is sent.
    boost::asio::awaitable<Snapshot> snapshot_at_rest();
    boost::asio::awaitable<KvmStats> kvm_stats();
    HostInterrupts host_interrupts_now() const;
    /// Guest and VMM cannot be asked at one moment; but if the guest counts the
    /// same before and after the VMM is asked, it might as well have been.
    boost::asio::awaitable<Snapshot> snapshot();

    Machine& machine_;
    const Options& options_;
    Boot boot_;
    IpiDefer ipi_defer_;
    std::optional<segment::OpenVm> vm_;
    nlohmann::json
        vcpus_;  // what query-cpus-fast says of them, from the start on
    Progress& progress_;
};

}  // namespace ipidefer::lab
