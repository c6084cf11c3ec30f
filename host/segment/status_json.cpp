// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/status_json.hpp"

#include <ipidefer/ipidefer.h>

#include <nlohmann/json.hpp>

#include "vmm/terms/policy_text.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::segment {
namespace {

using Json = nlohmann::ordered_json;

Json counters_json(
    const std::map<std::uint8_t, terms::VerdictCounts>& by_vector)
{
    Json list = Json::array();
    for (const auto& [vector, counters] : by_vector) {
        Json entry{{"vector", vector}, {"name", terms::vector_name(vector)}};
        for (const ipidefer_verdict verdict : terms::kCountedVerdicts)
            entry[ipidefer_verdict_name(verdict)] = counters[verdict];
        entry["max-age"] = counters.max_age;
        list.push_back(std::move(entry));
    }
    return list;
}

Json age_json(const std::optional<std::chrono::nanoseconds>& age)
{
    return age ? Json(age->count()) : Json(nullptr);
}

}  // namespace

nlohmann::ordered_json to_json(const VmStatus& status)
{
    Json vcpus = Json::array();
    for (const VcpuStatus& vcpu : status.vcpus)
        vcpus.push_back({{"vcpu", vcpu.vcpu},
                         {"isolated", vcpu.isolated},
                         {"bound", vcpu.bound},
                         {"context", vcpu.context},
                         {"oldest_pending_ns", age_json(vcpu.oldest_pending)},
                         {"counters", counters_json(vcpu.by_vector)}});
    return {{"name", status.name},
            {"id", status.id},
            {"owner", status.owner},
            {"state", std::string{to_string(status.life)}},
            {"pid", status.pid},
            {"producer", status.producer},
            {"policy", to_json(status.policy)},
            {"oldest_pending_ns", age_json(status.oldest_pending())},
            {"trace_dropped", status.trace_dropped},
            {"vcpus", vcpus},
            {"out_of_range", counters_json(status.out_of_range)}};
}

}  // namespace ipidefer::segment
