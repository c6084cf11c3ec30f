// SPDX-License-Identifier: GPL-2.0-or-later
// Histograms of the kernel's trace events, in a tracing instance of their own:
// a workload may play with the other instances as it likes.
#pragma once

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

}  // namespace ipidefer::lab::agent
