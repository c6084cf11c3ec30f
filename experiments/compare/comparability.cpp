// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/compare/comparability.hpp"

#include <algorithm>
#include <string_view>

#include "base/cpulist.hpp"
#include "base/text.hpp"

namespace ipidefer::compare {
namespace {

using report::LabRun;
using report::listed;
using report::modes_of;
using report::Program;
using report::workloads_of;

/// Of a hash, what is enough for people.
constexpr std::size_t kShownOfHash = 12;

std::string from_to(const std::string& what, const std::string& base,
                    const std::string& now)
{
    const auto shown = [](const std::string& text) {
        return text.empty() ? std::string{"unknown"}
                            : '\'' + printable(text) + '\'';
    };
    return what + " was " + shown(base) + " and is " + shown(now);
}

std::string isolated_of(const LabReport& report, const std::string& workload)
{
    for (const LabRun& run : report.runs)
        if (run.workload == workload)
            return format_cpulist({run.isolated.begin(), run.isolated.end()});
    return {};
}

bool nested(const LabReport& report, const std::string& workload)
{
    return std::ranges::any_of(report.runs, [&](const LabRun& run) {
        return run.workload == workload && run.nested;
    });
}

bool has(const std::vector<std::string>& names, const std::string& name)
{
    return std::ranges::find(names, name) != names.end();
}

/// Of the workloads that both have.
void workload_obstacles(const LabReport& base, const LabReport& now,
                        std::vector<std::string>& found)
{
    bool common_workload = false;
    bool common_mode = false;
    const auto others = workloads_of(now);
    for (const auto& workload : workloads_of(base)) {
        if (!has(others, workload)) continue;
        common_workload = true;
        const std::string of = "of workload " + printable(workload) + ' ';
        if (const auto before = isolated_of(base, workload),
            after = isolated_of(now, workload);
            before != after)
            found.push_back(
                from_to(of + "the list of isolated vCPUs", before, after));
        if (nested(base, workload) != nested(now, workload))
            found.push_back(of + "only " +
                            (nested(now, workload) ? now : base).file +
                            " has nested guests");
        const auto modes = modes_of(now, workload);
        for (const auto& mode : modes_of(base, workload))
            common_mode = common_mode || has(modes, mode);
    }
    if (!common_workload)
        found.push_back(
            "no workload is in both: " + listed(workloads_of(base)) +
            " was, and " + listed(others) + " is");
    else if (!common_mode)
        found.emplace_back("no workload has a mode that is in both");
}

void note_build(const std::string& what, const Program& base,
                const Program& now, std::vector<std::string>& found)
{
    // Another version is more than another build of one.
    if (base.version != now.version)
        found.push_back(from_to(what, base.version, now.version));
    else if (base.sha256 != now.sha256)
        found.push_back(from_to("the build of " + what + " (its SHA-256)",
                                base.sha256.substr(0, kShownOfHash),
                                now.sha256.substr(0, kShownOfHash)));
}

/// What is in one report and not in the other.
void note_missing(const LabReport& one, const LabReport& other,
                  std::vector<std::string>& found)
{
    const auto workloads = workloads_of(other);
    for (const auto& workload : workloads_of(one)) {
        if (!has(workloads, workload)) {
            found.push_back("workload " + printable(workload) + " is only in " +
                            one.file);
            continue;
        }
        const auto modes = modes_of(other, workload);
        for (const auto& mode : modes_of(one, workload))
            if (!has(modes, mode))
                found.push_back("workload " + printable(workload) + ", mode " +
                                printable(mode) + " is only in " + one.file);
    }
}

void note_trouble(const LabReport& report, std::vector<std::string>& found)
{
    if (report.given_up)
        found.push_back(report.file + ": the lab stopped with a defect in " +
                        printable(*report.given_up));
    if (report.left_out() != 0)
        found.push_back(report.file + ": the host starved " +
                        std::to_string(report.left_out()) +
                        (report.left_out() == 1 ? " guest" : " guests") +
                        ", and what these should have shown is left out");
    const auto disagree = std::ranges::count_if(
        report.runs, [](const LabRun& run) { return !run.agree; });
    if (disagree != 0)
        found.push_back(report.file + ": guest and VMM disagree in " +
                        std::to_string(disagree) + " of " +
                        std::to_string(report.runs.size()) + " runs");
}

}  // namespace

std::vector<std::string> obstacles(const LabReport& base, const LabReport& now,
                                   const std::set<Across>& across)
{
    std::vector<std::string> found;
    for (const LabReport* report : {&base, &now})
        if (report->runs.empty())
            found.push_back(report->file + " has no runs");
    if (!found.empty()) return found;

    const auto compare = [&](const std::string& what, const std::string& before,
                             const std::string& after,
                             std::string_view option) {
        if (before == after) return;
        std::string text = from_to(what, before, after);
        if (!option.empty())
            text += "; --across " + std::string{option} + " compares them";
        found.push_back(std::move(text));
    };
    if (!across.contains(Across::kAccelerator))
        compare("the accelerator", base.accelerator, now.accelerator,
                "accelerator");
    if (!across.contains(Across::kKernel))
        compare("the guest's kernel", base.kernel.version, now.kernel.version,
                "kernel");
    if (!across.contains(Across::kQemu))
        compare("QEMU", base.qemu.version, now.qemu.version, "qemu");
    compare("the number of vCPUs", base.cpus, now.cpus, "");
    compare("the guest's memory", base.memory, now.memory, "");
    workload_obstacles(base, now, found);
    return found;
}

std::vector<std::string> notes(const LabReport& base, const LabReport& now)
{
    std::vector<std::string> found;
    note_build("the guest's kernel", base.kernel, now.kernel, found);
    note_build("QEMU", base.qemu, now.qemu, found);
    if (base.accelerator != now.accelerator)
        found.push_back(
            from_to("the accelerator", base.accelerator, now.accelerator));
    if (base.ipidefer != now.ipidefer)
        found.push_back(from_to("the lab", base.ipidefer, now.ipidefer));
    if (base.host != now.host)
        found.push_back(from_to("the host", base.host, now.host));
    for (const auto& [mode, line] : base.command_lines)
        if (const auto other = now.command_lines.find(mode);
            other != now.command_lines.end() && other->second != line)
            found.push_back(
                from_to("the kernel's command line in mode " + printable(mode),
                        line, other->second));
    note_missing(base, now, found);
    note_missing(now, base, found);
    note_trouble(base, found);
    note_trouble(now, found);
    return found;
}

}  // namespace ipidefer::compare
