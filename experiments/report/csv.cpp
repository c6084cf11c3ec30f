// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "experiments/report/outputs.hpp"

namespace ipidefer::report {
namespace {

/// As RFC 4180 has it: in quotes where it would else be several fields.
std::string field(const std::string& text)
{
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

}  // namespace

std::string to_csv(const LabReport& report)
{
    std::string text =
        "run,repetition,arm,mode,workload,kind,row,value,unit\r\n";
    unsigned number = 0;
    for (const LabRun& run : report.runs) {
        const std::string head =
            fmt::format("{},{},{},{},{}", ++number, run.repetition,
                        field(run.arm), field(run.mode), field(run.workload));
        const auto line = [&](const char* kind, const std::string& row,
                              std::uint64_t value, const char* unit) {
            text += fmt::format("{},{},{},{},{}\r\n", head, kind, field(row),
                                value, unit);
        };
        for (const auto& [row, count] : run.events)
            line("event", row, count, "count");
        for (const auto& [row, count] : run.interrupts)
            line("interrupt", row, count, "count");
        for (const auto& [cpu, loop] : run.loops) {
            const std::string vcpu = "vCPU " + std::to_string(cpu);
            line("interruptions", vcpu, loop.interruptions, "count");
            line("longest_gap", vcpu, loop.longest_ns, "ns");
        }
        line("duration", "workload", run.milliseconds, "ms");
        line("agree", "guest and VMM", run.agree ? 1 : 0, "boolean");
    }
    return text;
}

}  // namespace ipidefer::report
