// SPDX-License-Identifier: GPL-2.0-or-later
// Histograms of the kernel's trace events, and a record of what isolated CPUs
// did in the kernel, in tracing instances of their own: a workload may play
// with the other instances as it likes.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace ipidefer::lab::agent {

class Tracing {
  public:
    /// What to count: a name for the host, folder/event, the trigger.
    struct Event {
        std::string name;
        std::string event;
        std::string trigger;
    };

    /// Sets the triggers. Returns why some could not be set: other kernels
    /// lack events, or know less of the syntax.
    [[nodiscard]] std::vector<std::string> start(
        const std::vector<Event>& events);

    /// What the kernel says now, by name, for the triggers that were set.
    [[nodiscard]] std::map<std::string, std::string> read() const;

  private:
    std::map<std::string, std::string> files_;
};

/// Events of some CPUs, one by one, with the TSC as their clock.
class Record {
  public:
    /// @param patterns folder/event, in which * is any text
    /// @return why some cannot be recorded, or nothing can
    [[nodiscard]] std::vector<std::string> start(
        const std::vector<unsigned>& cpus,
        const std::vector<std::string>& patterns);

    /// Forgets what there is.
    void clear() const;

    /// As the kernel writes it.
    struct Text {
        /// From the first event that is kept; whole lines of a length.
        std::string trace;
        /// How many there are, and how many were overwritten.
        std::string stats;
    };
    /// By CPU.
    /// @param most bytes of a trace
    [[nodiscard]] std::map<unsigned, Text> read(std::size_t most) const;

  private:
    std::vector<unsigned> cpus_;
};

}  // namespace ipidefer::lab::agent
