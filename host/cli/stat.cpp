// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer stat: verdicts of one VM or of all, once or as rates.
#include <ipidefer/ipidefer.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "base/table.hpp"
#include "base/text.hpp"
#include "host/cli/command.hpp"
#include "host/segment/status_json.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::cli {
namespace {

using segment::OpenVm;
using segment::VcpuStatus;
using segment::VmStatus;
using terms::VerdictCounts;

struct StatOptions {
    std::string vm;
    std::string interval;
    std::optional<unsigned> count;
    bool json = false;
};

std::vector<VmStatus> read_all(const StatOptions& options,
                               const segment::Place& place)
{
    std::vector<VmStatus> all;
    if (!options.vm.empty()) {
        all.push_back(
            read_status(OpenVm{place, options.vm}, segment::read_tsc()));
        return all;
    }
    for (const segment::Found& found : segment::survey(place).found) try {
            all.push_back(
                read_status(OpenVm{place, found}, segment::read_tsc()));
        } catch (const Failure& failure) {
            std::cerr << "ipidefer: " << failure.what() << '\n';
        }
    return all;
}

/// Turn counts into those since `before`; VMs that are new stay as they are.
void subtract(std::vector<VmStatus>& now, const std::vector<VmStatus>& before)
{
    for (VmStatus& vm : now)
        for (const VmStatus& old : before) {
            if (vm.id != old.id) continue;
            for (std::size_t i = 0;
                 i < std::min(vm.vcpus.size(), old.vcpus.size()); ++i)
                for (const auto& [vector, counters] : old.vcpus[i].by_vector)
                    vm.vcpus[i].by_vector[vector] -= counters;
            for (const auto& [vector, counters] : old.out_of_range)
                vm.out_of_range[vector] -= counters;
        }
}

void row(Table& table, const std::string& who, std::uint8_t vector,
         const VerdictCounts& counters, const std::string& context,
         const std::string& oldest)
{
    std::vector<std::string> cells{who, terms::vector_name(vector)};
    for (const ipidefer_verdict v : terms::kCountedVerdicts)
        cells.push_back(std::to_string(counters[v]));
    cells.push_back(std::to_string(counters.max_age));
    cells.push_back(context);
    cells.push_back(oldest);
    table.row(std::move(cells));
}

void show(const VmStatus& vm)
{
    std::cout << "VM " << vm.name << ": " << to_string(vm.life) << ", pid "
              << vm.pid << ", " << printable(vm.producer) << ", "
              << (vm.policy.enabled ? "deferring for vCPUs "
                                    : "switched off; isolated are ")
              << (vm.policy.isolated.empty()
                      ? "(none)"
                      : format_cpulist(vm.policy.isolated))
              << '\n';
    Table table{{Table::left("vCPU"), Table::left("vector", 11),
                 Table::right("deferred", 9), Table::right("coalesced", 9),
                 Table::right("in-kernel", 9), Table::right("not-isol"),
                 Table::right("not-bound"), Table::right("policy"),
                 Table::right("bad-word"), Table::right("contended"),
                 Table::right("max-age"), Table::left("context", 7),
                 Table::right("oldest", 8)}};
    for (const VcpuStatus& vcpu : vm.vcpus) {
        const std::string oldest = segment::age_text(vcpu.oldest_pending);
        for (const auto& [vector, counters] : vcpu.by_vector)
            row(table, std::to_string(vcpu.vcpu), vector, counters,
                vcpu.context, oldest);
    }
    for (const auto& [vector, counters] : vm.out_of_range)
        row(table, "none", vector, counters, "-", "-");
    std::cout << table.text();
}

void show(const std::vector<VmStatus>& vms, const StatOptions& options)
{
    if (options.json) {
        nlohmann::ordered_json list = nlohmann::json::array();
        for (const VmStatus& vm : vms) list.push_back(to_json(vm));
        std::cout << json_text(list, options.interval.empty() ? 2 : -1)
                  << std::endl;
        return;
    }
    for (const VmStatus& vm : vms) show(vm);
    std::cout << std::flush;
}

int run_stat(const StatOptions& options, const segment::Place& place)
{
    if (options.count && options.interval.empty())
        refuse_option("--count",
                      std::to_string(*options.count) + " needs --interval");
    auto before = read_all(options, place);
    if (options.interval.empty()) {
        show(before, options);
        return static_cast<int>(Exit::kDone);
    }
    const auto interval = named_option(
        "--interval", [&] { return parse_duration(options.interval); });
    if (interval.count() == 0)
        throw Failure{Exit::kCannotRun, "--interval: 0 is no interval"};
    const unsigned count = options.count.value_or(0);
    for (unsigned n = 0; count == 0 || n < count; ++n) {
        if (interrupted()) break;
        std::this_thread::sleep_for(interval);
        if (interrupted()) break;
        const auto now = read_all(options, place);
        auto since = now;
        subtract(since, before);
        show(since, options);
        before = now;
    }
    return static_cast<int>(Exit::kDone);
}

}  // namespace

Run add_stat(CLI::App& app, const segment::Place& place)
{
    auto* stat = app.add_subcommand("stat", "what became of IPIs");
    const auto options = std::make_shared<StatOptions>();
    stat->add_option("vm", options->vm, "VM (default: all)");
    stat->add_option("--interval", options->interval,
                     "repeat, with counts since the last time, as in 1s");
    stat->add_option("--count", options->count,
                     "with --interval: so often (default: until interrupted)");
    stat->add_flag("--json", options->json,
                   "as JSON; with --interval one line each time");
    stat->footer(
        "Examples:\n"
        "  ipidefer stat web1\n"
        "  ipidefer stat web1 --interval 1s --count 10 --json\n\n"
        "Exit status: 0 done, 1 could not run.");
    return [options, &place] { return run_stat(*options, place); };
}

}  // namespace ipidefer::cli
