// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer list: the VMs that have a segment.
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "base/table.hpp"
#include "base/text.hpp"
#include "host/cli/command.hpp"
#include "host/segment/status_json.hpp"

namespace ipidefer::cli {
namespace {

using segment::age_text;
using segment::OpenVm;
using segment::VmStatus;

struct ListOptions {
    bool json = false;
    bool clean = false;
    bool names = false;
};

/// A segment that cannot be shown, and why.
struct Broken {
    std::string name;
    std::string why;
};

void show(const std::vector<VmStatus>& vms)
{
    Table table{{Table::left("NAME", 22), Table::left("STATE", 7),
                 Table::right("PID", 7), Table::right("VCPUS"),
                 Table::left("ISOLATED", 10), Table::left("ON"),
                 Table::right("SUPPRESSED"), Table::right("DELIVERED"),
                 Table::right("OLDEST", 8)}};
    for (const VmStatus& vm : vms) {
        const auto total = vm.total();
        table.row(
            {vm.name, std::string{to_string(vm.life)}, std::to_string(vm.pid),
             std::to_string(vm.vcpus.size()),
             vm.policy.isolated.empty() ? "-"
                                        : format_cpulist(vm.policy.isolated),
             on_off(vm.policy.enabled), std::to_string(total.recorded()),
             std::to_string(total.delivered()), age_text(vm.oldest_pending())});
    }
    std::cout << table.text();
}

/// Nothing that is there is passed over in silence.
void show_left_out(const ipidefer_shm_left_out& left_out)
{
    if (left_out.foreign != 0)
        std::cerr << "ipidefer: not shown: " << left_out.foreign
                  << " of users whose VMs are not looked at (--owner)\n";
    if (left_out.other != 0)
        std::cerr << "ipidefer: not shown: " << left_out.other
                  << " that are named like segments, and are none\n";
}

/// Remove what dead VMs left behind.
void clean(const segment::Place& place, const std::vector<VmStatus>& vms)
{
    for (const VmStatus& vm : vms) {
        if (vm.life != segment::Life::kGone) continue;
        segment::Found found;
        found.id = vm.id;
        remove_stale(place, found);
        std::cerr << "ipidefer: removed the segment of VM '" << vm.name
                  << "'\n";
    }
}

int run_list(const ListOptions& options, const segment::Place& place)
{
    if (options.names) {
        for (const segment::Found& found : segment::survey(place).found)
            std::cout << found.label << '\n';
        return static_cast<int>(Exit::kDone);
    }
    std::vector<VmStatus> vms;
    std::vector<Broken> broken;
    const auto survey = segment::survey(place);
    for (const segment::Found& found : survey.found) try {
            vms.push_back(
                read_status(OpenVm{place, found}, segment::read_tsc()));
        } catch (const Failure& failure) {
            broken.push_back({found.label, failure.what()});
        }
    if (options.json) {
        nlohmann::ordered_json list{{"vms", nlohmann::json::array()},
                                    {"broken", nlohmann::json::array()}};
        for (const VmStatus& vm : vms) list["vms"].push_back(to_json(vm));
        for (const Broken& one : broken)
            list["broken"].push_back({{"name", one.name}, {"why", one.why}});
        list["left_out"] = {{"foreign", survey.left_out.foreign},
                            {"other", survey.left_out.other}};
        std::cout << json_text(list, 2) << '\n';
    } else {
        show(vms);
        for (const Broken& one : broken)
            std::cerr << "ipidefer: " << one.why << '\n';
        show_left_out(survey.left_out);
    }
    if (options.clean) clean(place, vms);
    return static_cast<int>(broken.empty() ? Exit::kDone : Exit::kDefect);
}

}  // namespace

Run add_list(CLI::App& app, const segment::Place& place)
{
    auto* list = app.add_subcommand("list", "the VMs that can be looked at");
    const auto options = std::make_shared<ListOptions>();
    auto* json = list->add_flag("--json", options->json, "as JSON");
    auto* clean = list->add_flag("--clean", options->clean,
                                 "remove the segments of VMs that died");
    list->add_flag("--names", options->names,
                   "only names, one per line, without looking at the VMs")
        ->excludes(json)
        ->excludes(clean);
    list->footer(
        "Examples:\n"
        "  ipidefer list\n"
        "  ipidefer list --json | jq '.vms[] | {name, owner}'\n\n"
        "Exit status: 0 done, 1 could not run, 2 a segment is broken.");
    return [options, &place] { return run_list(*options, place); };
}

}  // namespace ipidefer::cli
