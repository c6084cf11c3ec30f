// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/verdict_report.hpp"

#include <nlohmann/json.hpp>

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

using nlohmann::json;

VmmBinding parse_binding(const json& b)
{
    return {b.at("vector").get<unsigned>(),
            b.at("accept-mask").get<std::uint32_t>(),
            b.at("accept-value").get<std::uint32_t>(),
            b.at("work-bit").get<std::uint32_t>()};
}

terms::VerdictCounts parse_counters(const json& counters)
{
    terms::VerdictCounts counts;
    for (const ipidefer_verdict verdict : terms::kCountedVerdicts)
        counters.at(ipidefer_verdict_name(verdict)).get_to(counts[verdict]);
    return counts;
}

}  // namespace

VmmReport parse_ipi_defer(const json& answer)
{
    VmmReport report;
    try {
        for (const auto& cpu : answer.at("cpus")) {
            VmmCpu& parsed = report[cpu.at("cpu-index").get<unsigned>()];
            cpu.at("isolated").get_to(parsed.isolated);
            for (const auto& binding : cpu.at("bindings"))
                parsed.bindings.push_back(parse_binding(binding));
            for (const auto& counters : cpu.at("counters")) {
                const auto vector = counters.at("vector").get<unsigned>();
                parsed.by_vector[vector] = parse_counters(counters);
                if (const auto merged = counters.find("merged");
                    merged != counters.end())
                    parsed.merged[vector] = merged->get<std::uint64_t>();
            }
        }
    } catch (const json::exception& error) {
        throw Failure{Exit::kCannotRun,
                      std::string{"QEMU's answer to query-ipi-defer is not "
                                  "what the lab expects: "} +
                          error.what()};
    }
    return report;
}

bool sees_icr(const json& answer) { return answer.value("icr", true); }

}  // namespace ipidefer::lab
