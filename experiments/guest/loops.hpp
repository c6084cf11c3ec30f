// SPDX-License-Identifier: GPL-2.0-or-later
// The isolated application: on each isolated vCPU a process that never leaves
// userspace, and sees by the TSC when it was kept from running.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "experiments/guest/longest_gaps.hpp"

namespace ipidefer::lab::agent {

struct LoopPage;

class Loops {
  public:
    struct Seen {
        unsigned cpu;
        std::uint64_t interruptions;
        std::uint64_t longest_cycles;
        std::uint64_t longest_ns;
        std::string state;  // as in /proc/PID/stat; empty when it has ended
        unsigned runs_on;
        std::uint64_t left;  // gave its CPU away, or was moved to another
    };

    /// How many gaps between two looks at the TSC were how long, by the
    /// greatest number of nanoseconds of a bucket.
    using Gaps = std::map<std::uint64_t, std::uint64_t>;

    /// Gaps that are interruptions, as far as there was room.
    struct Listed {
        unsigned cpu;
        std::span<const Gap> gaps;
        std::uint64_t left_out;
    };

    /// One loop on each of `cpus`; returns when all of them spin. A gap longer
    /// than `threshold_ns` counts as an interruption. Throws.
    Loops(const std::vector<unsigned>& cpus, std::uint64_t threshold_ns);
    /// Ends the processes.
    ~Loops();
    Loops(const Loops&) = delete;
    Loops& operator=(const Loops&) = delete;

    /// Count from zero again, in each loop.
    void mark();
    /// Leave the loops: each process makes a system call, and then sleeps.
    void stop();
    [[nodiscard]] std::vector<Seen> seen() const;
    /// By CPU, since mark().
    [[nodiscard]] std::map<unsigned, Gaps> gaps() const;
    /// Those since mark(). The loops spin on, but list no more.
    [[nodiscard]] std::vector<Listed> list();
    /// The TSC at mark().
    [[nodiscard]] std::uint64_t marked_at() const { return marked_at_; }
    [[nodiscard]] double cycles_per_ns() const { return cycles_per_ns_; }

  private:
    struct Loop {
        unsigned cpu;
        pid_t pid;
        LoopPage* page;
    };

    [[nodiscard]] std::uint64_t nanoseconds(std::uint64_t cycles) const;

    std::vector<Loop> loops_;
    double cycles_per_ns_;
    std::uint64_t marked_at_ = 0;
};

}  // namespace ipidefer::lab::agent
