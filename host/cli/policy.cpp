// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer policy: show and change what a VM may defer.
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/json_writer.hpp"
#include "host/cli/command.hpp"
#include "host/segment/status_json.hpp"
#include "vmm/terms/policy_text.hpp"

namespace ipidefer::cli {
namespace {

struct PolicyOptions {
    std::string vm;
    terms::RawPolicy policy;
    bool json = false;
};

int run_policy(const PolicyOptions& options, const segment::Place& place)
{
    const bool change = !options.policy.empty();
    segment::OpenVm vm{place, options.vm, change};
    const terms::Policy before = read_policy(vm.segment());
    if (change) {
        // Dead VMs have no next decision.
        if (const auto life = vm.life();
            life == segment::Life::kGone || life == segment::Life::kEnded)
            throw Failure{Exit::kCannotRun,
                          "VM '" + vm.label() + "' does not run any more"};
        apply(terms::check_policy(options.policy, vm.segment().vcpus(),
                                  terms::Naming::kOptions),
              vm.policy(), vm.segment().vcpus());
    }
    const terms::Policy after = read_policy(vm.segment());
    vm.check();
    if (options.json) {
        std::cout << json_text(to_json(after), 2) << '\n';
    } else if (change) {
        for (const std::string& line : differences(before, after))
            std::cout << line << '\n';
    } else {
        std::cout << to_text(after);
    }
    return static_cast<int>(Exit::kDone);
}

}  // namespace

Run add_policy(CLI::App& app, const segment::Place& place)
{
    auto* policy =
        app.add_subcommand("policy", "show or change what a VM may defer");
    const auto options = std::make_shared<PolicyOptions>();
    policy->add_option("vm", options->vm, "VM")->required();
    terms::RawPolicy& raw = options->policy;
    policy->add_option("--isolated", raw.isolated,
                       "vCPUs to defer for, as in 2-5,^3; none");
    policy->add_option("--user", raw.user, "defer in userspace: on, off");
    policy->add_option("--guest", raw.guest,
                       "defer while a nested guest runs: on, off");
    policy->add_option("--idle", raw.idle, "defer for idle vCPUs: on, off");
    policy->add_option("--vector", raw.vectors,
                       "allow a kind of work or not, as in sync_core=off or "
                       "0xf1=on; repeatable");
    policy->add_option("--max-age", raw.max_age,
                       "deliver work that has waited longer, as in 10ms; 0: "
                       "no limit");
    auto* off = policy->add_flag("--off", raw.off,
                                 "kill switch: deliver everything from now on");
    policy->add_flag("--on", raw.on, "defer again")->excludes(off);
    policy->add_flag("--json", options->json, "the resulting policy as JSON");
    policy->footer(
        "Examples:\n"
        "  ipidefer policy web1\n"
        "  ipidefer policy web1 --isolated 2-5,^3 --max-age 10ms\n"
        "  ipidefer policy web1 --vector sync_core=off\n"
        "  ipidefer policy web1 --off\n\n"
        "A change takes effect with the VM's next IPI.\n"
        "Exit status: 0 done, 1 could not run.");
    return [options, &place] { return run_policy(*options, place); };
}

}  // namespace ipidefer::cli
