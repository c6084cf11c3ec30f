// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer top: all VMs' vCPUs, the busiest first, refreshed.
#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "base/json_writer.hpp"
#include "base/text.hpp"
#include "host/cli/command.hpp"
#include "host/cli/screen.hpp"
#include "host/cli/top_table.hpp"
#include "host/segment/status.hpp"

namespace ipidefer::cli {
namespace {

using segment::OpenVm;
using segment::VmStatus;

struct TopOptions {
    bool once = false;
    bool json = false;
    bool isolated_only = false;
    std::string delay = "2s";
    std::vector<std::string> vms;
};

/// Those that run, of those that are asked for: a VM that ended has no rates,
/// and one that is broken is not there; list says why.
std::vector<VmStatus> read_all(const TopOptions& options,
                               const segment::Place& place)
{
    std::vector<VmStatus> all;
    const auto wanted = [&options](const segment::Found& found) {
        return options.vms.empty() ||
               std::ranges::any_of(options.vms, [&](const std::string& vm) {
                   return found.is(vm);
               });
    };
    for (const segment::Found& found : segment::survey(place).found) try {
            if (!wanted(found)) continue;
            const OpenVm vm{place, found};
            if (const auto life = vm.life();
                life == segment::Life::kGone || life == segment::Life::kEnded)
                continue;
            all.push_back(read_status(vm, segment::read_tsc()));
        } catch (const Failure&) {
        }
    return all;
}

int watch(TopOptions options, const segment::Place& place,
          std::chrono::milliseconds delay)
{
    const auto screen = Screen::open();
    if (screen == nullptr)
        throw Failure{Exit::kNotPossible,
                      "top: there is no terminal; use -1 or --json"};
    auto before = read_all(options, place);
    auto then = std::chrono::steady_clock::now();
    TopTable table{before, before, std::chrono::seconds{1}};
    while (!interrupted()) {
        auto lines = table.lines(options.isolated_only);
        lines.insert(lines.begin(), "q: end   i: isolated vCPUs only   every " +
                                        format_duration(delay));
        screen->show(lines);
        const int key = screen->key(delay);
        if (key == 'q') break;
        if (key == 'i') options.isolated_only = !options.isolated_only;
        if (key != Screen::kNoKey) continue;
        const auto now = read_all(options, place);
        const auto moment = std::chrono::steady_clock::now();
        table = TopTable{before, now, moment - then};
        before = now;
        then = moment;
    }
    return static_cast<int>(Exit::kDone);
}

int run_top(const TopOptions& options, const segment::Place& place)
{
    const auto delay = parse_refresh("-d", options.delay);
    // A VM may end while it is watched; a name that is none is a mistake.
    for (const std::string& vm : options.vms) (void)segment::find(place, vm);
    if (!options.once && !options.json) return watch(options, place, delay);

    (void)interrupted();
    const auto before = read_all(options, place);
    const auto then = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(delay);
    const auto now = read_all(options, place);
    const TopTable table{before, now, std::chrono::steady_clock::now() - then};
    if (options.json)
        std::cout << json_text(table.json(options.isolated_only), 2) << '\n';
    else
        for (const std::string& line : table.lines(options.isolated_only))
            std::cout << line << '\n';
    return static_cast<int>(Exit::kDone);
}

}  // namespace

Run add_top(CLI::App& app, const segment::Place& place)
{
    auto* top = app.add_subcommand("top", "vCPUs by IPIs per second");
    const auto options = std::make_shared<TopOptions>();
    top->add_flag("-1", options->once, "one table, after one delay; no screen");
    top->add_flag("--json", options->json, "the same as JSON");
    top->add_option("-d,--delay", options->delay, "between two looks")
        ->capture_default_str();
    top->add_flag("-i,--isolated", options->isolated_only,
                  "isolated vCPUs only");
    top->add_option("-p,--vm", options->vms, "this VM only; repeatable")
        ->expected(1)
        ->take_all();
    top->footer(
        "Keys: q ends, i shows isolated vCPUs only or all.\n"
        "Examples:\n"
        "  ipidefer top\n"
        "  ipidefer top -1 -d 5s -p web1\n\n"
        "Exit status: 0 done, 1 could not run, 77 there is no terminal.");
    return [options, &place] { return run_top(*options, place); };
}

}  // namespace ipidefer::cli
