// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer list: the VMs that have a segment.
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "base/text.hpp"
#include "host/cli/command.hpp"
#include "host/segment/status_json.hpp"

namespace ipidefer::cli {
namespace {

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

std::string age_text(const std::optional<std::chrono::nanoseconds>& age)
{
    return age ? format_duration(*age) : "-";
}

void show(const std::vector<VmStatus>& vms)
{
    std::cout << std::left << std::setw(24) << "NAME" << std::setw(9) << "STATE"
              << std::right << std::setw(8) << "PID" << std::setw(6) << "VCPUS"
              << "  " << std::left << std::setw(12) << "ISOLATED"
              << std::setw(5) << "ON" << std::right << std::setw(12)
              << "SUPPRESSED" << std::setw(12) << "DELIVERED" << std::setw(10)
              << "OLDEST" << '\n';
    for (const VmStatus& vm : vms) {
        const auto total = vm.total();
        const auto suppressed =
            total[IPIDEFER_DEFERRED] + total[IPIDEFER_COALESCED];
        const std::string isolated = vm.policy.isolated.empty()
                                         ? "-"
                                         : format_cpulist(vm.policy.isolated);
        std::cout << std::left << std::setw(24) << vm.name << std::setw(9)
                  << to_string(vm.life) << std::right << std::setw(8) << vm.pid
                  << std::setw(6) << vm.vcpus.size() << "  " << std::left
                  << std::setw(12) << isolated << std::setw(5)
                  << (vm.policy.enabled ? "on" : "off") << std::right
                  << std::setw(12) << suppressed << std::setw(12)
                  << total.sum() - suppressed << std::setw(10)
                  << age_text(vm.oldest_pending()) << '\n';
    }
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
        std::cout << segment::dump(list, 2) << '\n';
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
