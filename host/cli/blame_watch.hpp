// SPDX-License-Identifier: GPL-2.0-or-later
// Blame's watch: what is found out from now on, in parts and as a whole.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/cpulist.hpp"
#include "host/blame/attribution.hpp"
#include "host/blame/report.hpp"
#include "host/blame/trace_source.hpp"

namespace ipidefer::cli {

class BlameWatch final {
  public:
    struct Options {
        int pid = 0;
        std::string vcpus;  // a list; empty: all
        bool stacks = false;
    };

    /// Traces from now on. Throws Failure: as vcpu_threads() and TraceSource
    /// do, and for vCPUs that the VM does not have.
    explicit BlameWatch(const Options& options);

    /// What has come since. To be called often: buffers are small.
    void read();
    /// Ends the tracing, and reads the rest.
    void stop();
    /// Events until now.
    [[nodiscard]] std::uint64_t events() const { return source_.taken(); }

    /// Since the last part, or the beginning.
    [[nodiscard]] blame::Blame part();
    /// From the beginning to the last part.
    [[nodiscard]] blame::Blame whole() const;

  private:
    using Clock = std::chrono::steady_clock;

    /// All that is counted from the beginning on.
    struct Counts {
        Clock::time_point when;
        double cost_seconds = 0;
        std::uint64_t events = 0;
        std::uint64_t lost = 0;
        std::uint64_t unseen = 0;
    };
    [[nodiscard]] Counts counts() const;
    [[nodiscard]] blame::Blame between(const Counts& from, const Counts& to,
                                       const blame::Tallies& tallies) const;

    int pid_;
    std::vector<blame::Thread> threads_;
    CpuSet watched_;
    blame::Attribution attribution_;
    blame::TraceSource source_;
    Counts first_;
    Counts last_;
    blame::Tallies sum_;
};

}  // namespace ipidefer::cli
