// SPDX-License-Identifier: GPL-2.0-or-later
// Output: a trace as people, programs or Perfetto read it.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

#include "host/trace/event_fields.hpp"
#include "host/trace/guest_trace.hpp"

namespace ipidefer::trace {

/// Where on the timeline: CLOCK_MONOTONIC of the host in nanoseconds, and the
/// host's TSC. Without a known frequency `ns` is the TSC as well.
struct Moment {
    std::uint64_t tsc;
    std::int64_t ns;
};

class Output {
  public:
    virtual ~Output() = default;
    virtual void event(const Event& event, Moment at) = 0;
    virtual void guest(const GuestLine& line, Moment at) = 0;
    /// Events that were overwritten or dropped before what comes next.
    virtual void lost(std::uint64_t count) = 0;
};

enum class Format { kText, kJson, kPerfetto };

/// @param out outlives the output
/// @param vm  the VM's name
[[nodiscard]] std::unique_ptr<Output> make_output(Format format,
                                                  std::ostream& out,
                                                  const std::string& vm);

/// The targets of a send as a CPU list.
[[nodiscard]] std::string mask_text(const Event& event);

/// The fields behind the event's name: "cpumask=2-3 vector=0xf5 ...".
[[nodiscard]] std::string field_text(const Event& event);

}  // namespace ipidefer::trace
