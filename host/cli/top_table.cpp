// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/top_table.hpp"

#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"

namespace ipidefer::cli {
namespace {

using terms::VerdictCounts;
using segment::VmStatus;

/// Zeroes for one that is new, or restarted.
VerdictCounts earlier(const std::vector<VmStatus>& before, const VmStatus& vm,
                 std::size_t vcpu)
{
    for (const VmStatus& old : before)
        if (old.id == vm.id && vcpu < old.vcpus.size())
            return old.vcpus[vcpu].total();
    return {};
}

}  // namespace

TopTable::TopTable(const std::vector<VmStatus>& before,
                   const std::vector<VmStatus>& now,
                   std::chrono::nanoseconds took)
{
    const double seconds = std::chrono::duration<double>(took).count();
    for (const VmStatus& vm : now)
        for (std::size_t i = 0; i < vm.vcpus.size(); ++i) {
            const segment::VcpuStatus& vcpu = vm.vcpus[i];
            VerdictCounts since = vcpu.total();
            since -= earlier(before, vm, i);
            const auto rate = [seconds](std::uint64_t count) {
                return static_cast<double>(count) / seconds;
            };
            const auto deferred = since[IPIDEFER_DEFERRED];
            const auto coalesced = since[IPIDEFER_COALESCED];
            rows_.push_back({vm.name, vcpu.vcpu, vcpu.isolated, vcpu.context,
                             vcpu.oldest_pending, rate(since.sum()),
                             rate(deferred), rate(coalesced),
                             rate(since.sum() - deferred - coalesced),
                             rate(since.max_age)});
        }
    std::ranges::stable_sort(rows_, std::ranges::greater{}, &Row::sent);
}

std::vector<std::string> TopTable::lines(bool isolated_only) const
{
    constexpr std::size_t kWidth = 160;
    char line[kWidth];
    std::snprintf(line, sizeof line,
                  "%-20s %5s %-4s %-8s %10s %10s %10s %10s %8s %10s", "VM",
                  "VCPU", "ISOL", "CONTEXT", "SENT/s", "DEFER/s", "COALES/s",
                  "DELIV/s", "AGED/s", "OLDEST");
    std::vector<std::string> lines{line};
    for (const Row& row : rows_) {
        if (isolated_only && !row.isolated) continue;
        std::snprintf(
            line, sizeof line,
            "%-20.20s %5u %-4s %-8.8s %10.1f %10.1f %10.1f %10.1f %8.1f %10s",
            row.vm.c_str(), row.vcpu, row.isolated ? "yes" : "",
            row.context.c_str(), row.sent, row.deferred, row.coalesced,
            row.delivered, row.max_age,
            row.oldest ? format_duration(*row.oldest).c_str() : "-");
        lines.emplace_back(line);
    }
    return lines;
}

nlohmann::ordered_json TopTable::json(bool isolated_only) const
{
    nlohmann::ordered_json list = nlohmann::json::array();
    for (const Row& row : rows_) {
        if (isolated_only && !row.isolated) continue;
        nlohmann::ordered_json entry{{"vm", row.vm},
                                     {"vcpu", row.vcpu},
                                     {"isolated", row.isolated},
                                     {"context", row.context},
                                     {"sent_per_second", row.sent},
                                     {"deferred_per_second", row.deferred},
                                     {"coalesced_per_second", row.coalesced},
                                     {"delivered_per_second", row.delivered},
                                     {"max_age_per_second", row.max_age},
                                     {"oldest_pending_ns", nullptr}};
        if (row.oldest) entry["oldest_pending_ns"] = row.oldest->count();
        list.push_back(std::move(entry));
    }
    return list;
}

}  // namespace ipidefer::cli
