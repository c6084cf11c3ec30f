// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_writer.hpp"
#include "experiments/report/gaps.hpp"
#include "experiments/report/outputs.hpp"

namespace ipidefer::report {
namespace {

using Json = nlohmann::ordered_json;

/// oslat's buckets are microseconds, and a gap of less than one is in the
/// first.
std::uint64_t microseconds_up(std::uint64_t ns)
{
    return std::max<std::uint64_t>(
        1, (ns + kNsInAMicrosecond - 1) / kNsInAMicrosecond);
}

Json thread_json(unsigned cpu, const Loop& loop)
{
    std::map<std::uint64_t, std::uint64_t> buckets;
    std::uint64_t total = 0;
    double sum = 0;
    for (const auto& [up_to, count] : loop.gaps) {
        const auto us = microseconds_up(known_end(up_to, loop));
        buckets[us] += count;
        total += count;
        sum += static_cast<double>(us) * static_cast<double>(count);
    }
    Json histogram = Json::object();
    for (const auto& [us, count] : buckets)
        histogram[std::to_string(us)] = count;
    return {{"cpu", cpu},
            {"min", buckets.begin()->first},
            {"avg", sum / static_cast<double>(total)},
            {"max", buckets.rbegin()->first},
            {"histogram", histogram}};
}

}  // namespace

std::string to_oslat(const LabReport& report, const LabRuns& runs)
{
    Json threads = Json::object();
    for (const auto& [cpu, loop] : loops_of(runs))
        threads[std::to_string(threads.size())] = thread_json(cpu, loop);
    return json_text(Json{{"file_version", 1},
                          {"cmdline", report.command_line},
                          {"ipidefer_version", report.ipidefer},
                          {"workload", runs.front()->workload},
                          {"mode", runs.front()->mode},
                          {"runs", runs.size()},
                          {"end_time", report.date},
                          {"return_code", all_agree(runs) ? 0 : 2},
                          {"sysinfo", {{"release", report.kernel.version}}},
                          {"num_threads", threads.size()},
                          {"thread", threads}},
                     2) +
           '\n';
}

}  // namespace ipidefer::report
