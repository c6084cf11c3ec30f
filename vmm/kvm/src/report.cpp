// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/report.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/table.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::vmm {
namespace {

using nlohmann::json;

json to_json(const VcpuCounts& counts, bool exits_counted)
{
    json out{{"returns", counts.returns}, {"interrupts", counts.interrupts},
             {"nmis", counts.nmis},       {"kicks", counts.kicks},
             {"msrs", counts.msrs},       {"mmios", counts.mmios},
             {"ios", counts.ios},         {"halts", counts.halts},
             {"exits", nullptr}};
    if (exits_counted) out["exits"] = counts.exits;
    return out;
}

/// {"0xf5": {"deferred": 3, ...}, ...}: vectors that anything was counted for;
/// and {"0xf5": 2}: what was delivered for its age, in addition to a verdict.
void add_counts(json& vcpu, const Interceptor& interceptor, unsigned number)
{
    json& verdicts = vcpu["verdicts"] = json::object();
    json& expired = vcpu["max_age"] = json::object();
    for (unsigned v = IPI_DEFER_VECTOR_FIRST; v <= IPI_DEFER_VECTOR_LAST; ++v) {
        const auto vector = static_cast<std::uint8_t>(v);
        const terms::VerdictCounts counts = interceptor.counts(number, vector);
        const std::string name = terms::vector_number(vector);
        for (const ipidefer_verdict verdict : terms::kCountedVerdicts)
            if (counts[verdict] != 0)
                verdicts[name][ipidefer_verdict_name(verdict)] =
                    counts[verdict];
        if (counts.max_age != 0) expired[name] = counts.max_age;
    }
}

}  // namespace

json report_json(const Machine& machine, const Outcome& outcome,
                 const Probe& probe)
{
    const bool exits_counted = machine.counts_exits();
    json report{{"schema", "ipidefer-vmm/1"},
                {"kvm",
                 {{"backend", name(probe.backend)},
                  {"probe", probe.line},
                  {"exits_counted", exits_counted}}},
                {"outcome",
                 {{"kind", name(outcome.kind)},
                  {"status", outcome.status},
                  {"text", outcome.text}}}};
    const auto& interceptor = machine.interceptor();
    report["registrations"] = {{"accepted", interceptor.accepted()},
                               {"refused", interceptor.refused()},
                               {"last_refusal", interceptor.refusal()}};
    report["console_lost"] = machine.ports().console_lost();
    report["marks_lost"] = machine.ports().marks_lost();
    report["vcpus"] = json::array();
    const auto counts = machine.counts();
    for (unsigned i = 0; i < counts.size(); ++i) {
        json vcpu = to_json(counts[i], exits_counted);
        vcpu["isolated"] = interceptor.isolated(i);
        add_counts(vcpu, interceptor, i);
        report["vcpus"].push_back(std::move(vcpu));
    }
    report["marks"] = json::array();
    for (const auto& mark : machine.ports().marks()) {
        json vcpus = json::array();
        for (const auto& each : mark.vcpus)
            vcpus.push_back(to_json(each, exits_counted));
        report["marks"].push_back(
            {{"value", mark.value}, {"ns", mark.ns}, {"vcpus", vcpus}});
    }
    return report;
}

std::string report_table(const json& report)
{
    Table verdicts{{Table::left(""), Table::left(""), Table::left("", 22),
                    Table::right("", 10)}};
    verdicts.line("verdicts by vCPU");
    bool any = false;
    unsigned index = 0;
    for (const auto& vcpu : report.at("vcpus")) {
        for (const auto& [vector, by_verdict] : vcpu.at("verdicts").items())
            for (const auto& [verdict, count] : by_verdict.items()) {
                any = true;
                verdicts.row({"  vCPU " + std::to_string(index), vector,
                              verdict, count.dump()});
            }
        ++index;
    }
    if (!any) verdicts.line("  none");
    constexpr std::array kColumns{"returns", "exits", "interrupts", "nmis",
                                  "kicks"};
    std::vector<Table::Column> columns{Table::left("vCPU"), Table::left("", 3)};
    for (const char* column : kColumns)
        columns.push_back(Table::right(column, 10));
    Table counts{std::move(columns)};
    index = 0;
    for (const auto& vcpu : report.at("vcpus")) {
        std::vector<std::string> cells{
            std::to_string(index++),
            vcpu.at("isolated").get<bool>() ? "iso" : ""};
        for (const char* column : kColumns) {
            const auto& value = vcpu.at(column);
            cells.push_back(value.is_null() ? "-" : value.dump());
        }
        counts.row(std::move(cells));
    }
    return verdicts.text() + counts.text();
}

}  // namespace ipidefer::vmm
