// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer check: is this host fit?
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "failure.hpp"
#include "host_checks.hpp"
#include "status_json.hpp"

namespace ipidefer::cli {
namespace {

using check::Finding;
using check::Grade;

int run(bool as_json, const std::filesystem::path& folder)
{
    const auto findings = check::host_findings("/", folder);
    if (as_json) {
        nlohmann::ordered_json list = nlohmann::json::array();
        for (const Finding& finding : findings)
            list.push_back({{"name", finding.name},
                            {"grade", std::string{to_string(finding.grade)}},
                            {"what", finding.what},
                            {"remedy", finding.remedy}});
        std::cout << segment::dump(list, 2) << '\n';
    } else {
        for (const Finding& finding : findings) {
            std::cout << std::left << std::setw(6) << to_string(finding.grade)
                      << std::setw(24) << finding.name << finding.what;
            if (!finding.remedy.empty())
                std::cout << "; remedy: " << finding.remedy;
            std::cout << '\n';
        }
    }
    const bool failed = std::ranges::any_of(
        findings,
        [](const Finding& finding) { return finding.grade == Grade::kFail; });
    return static_cast<int>(failed ? Exit::kDefect : Exit::kDone);
}

}  // namespace

Run add_check(CLI::App& app, const std::filesystem::path& folder)
{
    auto* command = app.add_subcommand(
        "check", "is this host fit for isolated vCPUs, and what to do");
    const auto as_json = std::make_shared<bool>(false);
    command->add_flag("--json", *as_json, "as JSON");
    command->footer(
        "One line for each finding: pass, warn or fail, and the remedy.\n"
        "Examples:\n"
        "  ipidefer check\n"
        "  ipidefer check --json | jq '.[] | select(.grade != \"pass\")'\n\n"
        "Exit status: 0 nothing fails, 1 could not run, 2 something fails.");
    return [as_json, &folder] { return run(*as_json, folder); };
}

}  // namespace ipidefer::cli
