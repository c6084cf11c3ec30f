// SPDX-License-Identifier: GPL-2.0-or-later
// TraceSource: the host's trace events, from an instance of tracefs of our own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cpulist.hpp"
#include "host/blame/attribution.hpp"
#include "host/blame/event.hpp"

namespace ipidefer::blame {

class TraceSource final {
  public:
    /// Traces from now on. A process of its own removes the instance if this
    /// one ends in any other way than by the destructor.
    /// @param threads whose exits are traced
    /// @param cpus host CPUs that they may run on: whose interrupts are traced
    /// @param stacks whether the kernel writes the stack of who sends
    /// interrupts
    ///               to these CPUs, which costs who sends
    /// Throws Failure: without root, tracefs, KVM's events, or stacks that are
    /// asked for.
    TraceSource(const std::vector<Thread>& threads, const CpuSet& cpus,
                bool stacks);
    ~TraceSource();
    TraceSource(const TraceSource&) = delete;
    TraceSource& operator=(const TraceSource&) = delete;

    /// What came since, by time: all that is older than this call. The last
    /// time, behind stop(), all there is. Throws Failure.
    void read(const std::function<void(const Event&)>& take);
    void stop();

    /// Events that did not fit into the buffers.
    [[nodiscard]] std::uint64_t lost() const;
    /// Events that were read.
    [[nodiscard]] std::uint64_t taken() const;
    /// Events that this kernel does not have; what they tell stays unknown.
    [[nodiscard]] const std::vector<std::string>& missing() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace ipidefer::blame
