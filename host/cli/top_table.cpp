// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/top_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/table.hpp"

namespace ipidefer::cli {
namespace {

using segment::VmStatus;
using terms::VerdictCounts;

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
    constexpr std::size_t kName = 20;
    constexpr std::size_t kRate = 8;
    Table table{{Table::left("VM", kName, kName), Table::right("VCPU"),
                 Table::left("ISOL"), Table::left("CONTEXT"),
                 Table::right("SENT/s", kRate), Table::right("DEFER/s", kRate),
                 Table::right("COALES/s", kRate),
                 Table::right("DELIV/s", kRate), Table::right("AGED/s"),
                 Table::right("OLDEST", kRate)}};
    const auto rate = [](double value) { return fmt::format("{:.1f}", value); };
    for (const Row& row : rows_) {
        if (isolated_only && !row.isolated) continue;
        table.row({row.vm, std::to_string(row.vcpu), row.isolated ? "yes" : "",
                   row.context, rate(row.sent), rate(row.deferred),
                   rate(row.coalesced), rate(row.delivered), rate(row.max_age),
                   segment::age_text(row.oldest)});
    }
    return table.lines();
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
