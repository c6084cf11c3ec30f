// SPDX-License-Identifier: GPL-2.0-or-later
// Perfetto: a trace as TrackEvents, for ui.perfetto.dev and trace_processor.
// One process for the VM, with a track for what each vCPU sends, one for what
// becomes of IPIs to it, and one for its lines of the guest's trace. A verdict
// is joined by a flow to the send before it with the same sender and vector.
// Field numbers: protos/perfetto/trace in github.com/google/perfetto.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>

#include "host/trace/output.hpp"

namespace ipidefer::trace {

[[nodiscard]] std::unique_ptr<Output> make_perfetto_output(
    std::ostream& out, const std::string& vm);

}  // namespace ipidefer::trace
