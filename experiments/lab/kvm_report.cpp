// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/kvm_report.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/installed.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "base/process.hpp"
#include "base/program.hpp"
#include "base/scratch.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "experiments/lab/box.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/options.hpp"
#include "experiments/lab/pin.hpp"
#include "experiments/lab/progress.hpp"
#include "experiments/lab/qemu_command.hpp"
#include "experiments/lab/signals.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr char kFolder[] = "ipidefer-kvm-report";
constexpr char kReportModes[] = "off,hv";

/// What it says of a host is in these; those that are not there are left out.
constexpr const char* kFacts[] = {
    "/proc/version",
    "/proc/cmdline",
    "/sys/devices/system/cpu/isolated",
    "/sys/devices/system/cpu/nohz_full",
    "/sys/devices/system/cpu/smt/active",
    "/sys/devices/virtual/dmi/id/sys_vendor",
    "/sys/devices/virtual/dmi/id/product_name",
};
constexpr const char* kFactFolders[] = {
    "/sys/module/kvm/parameters",
    "/sys/module/kvm_amd/parameters",
    "/sys/module/kvm_intel/parameters",
    "/sys/devices/system/cpu/vulnerabilities",
};

void add_fact(ordered_json& facts, const fs::path& file)
{
    try {
        facts[file.string()] = std::string{trimmed(read_whole(file))};
    } catch (const Failure&) {
        // Not on this host, or not for us.
    }
}

/// Of the first CPU.
ordered_json processor()
{
    ordered_json found = ordered_json::object();
    const std::string text = read_whole("/proc/cpuinfo");
    for (const auto line : lines_of(text)) {
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) break;
        found[std::string{trimmed(line.substr(0, colon))}] =
            std::string{trimmed(line.substr(colon + 1))};
    }
    return found;
}

ordered_json host_facts()
{
    ordered_json facts{{"ipidefer", kVersion},
                       {"accelerator", accelerator(Accel::kKvm)},
                       {"processor", processor()}};
    ordered_json& files = facts["files"] = ordered_json::object();
    for (const char* file : kFacts) add_fact(files, file);
    for (const char* folder : kFactFolders) {
        std::error_code error;
        std::vector<fs::path> entries;
        for (const auto& entry : fs::directory_iterator{folder, error})
            entries.push_back(entry.path());
        std::ranges::sort(entries);
        for (const auto& entry : entries) add_fact(files, entry);
    }
    return facts;
}

struct Step {
    std::string name;
    std::vector<std::string> words;
};

std::vector<Step> steps(const KvmReportOptions& options, const fs::path& folder)
{
    const std::string ipidefer = installed("ipidefer").string();
    const auto json = [&](const std::string& name) {
        return (folder / (name + ".json")).string();
    };
    const auto lab = [&](const std::string& name,
                         std::vector<std::string> more) {
        std::vector<std::string> words{
            ipidefer,     "lab",        "run",
            "--accel",    "kvm",        "--modes",
            kReportModes, "--workload", options.workload,
            "--retries",  "3",          "--json",
            json(name)};
        if (!options.pin.empty())
            words.insert(words.end(), {"--pin", options.pin});
        words.insert(words.end(), more.begin(), more.end());
        return Step{name, words};
    };
    return {
        {"check", {ipidefer, "check", "--json"}},
        lab("lab-x2apic", {}),
        lab("lab-xapic", {"--append", "nox2apic"}),
        lab("lab-split", {"--irqchip", "split"}),
        {"bench-kvm",
         {ipidefer, "bench", "kvm", "--rounds", std::to_string(options.rounds),
          "--json", json("bench-kvm")}},
    };
}

int in_box(const KvmReportOptions& options, const Options& run,
           const std::vector<std::string>& command)
{
    BoxSpec box;
    box.qemu = fs::absolute(run.qemu);
    box.kernel = fs::absolute(run.kernel);
    check_pin(run.pin, complement({}, box.cpus));
    box.isolated = {2, 3};
    box.shares = {fs::canonical(fs::absolute(options.output).parent_path())};
    box.command = our_command_in_box(command);
    if (options.pin.empty())
        box.command.insert(box.command.end(), {"--pin", "2-3"});
    return run_in_box(box);
}

}  // namespace

void add_kvm_report_options(CLI::App& app, KvmReportOptions& options)
{
    app.add_option("--output", options.output, "the archive")
        ->capture_default_str();
    app.add_option("--workload", options.workload,
                   "built-in workload or shell script for the tables")
        ->capture_default_str();
    app.add_option("--pin", options.pin,
                   "host CPUs for the two isolated vCPUs (default: any)");
    app.add_option("--rounds", options.rounds,
                   "rounds of the comparison of costs")
        ->capture_default_str();
    add_qemu_and_kernel(app, options.qemu, options.kernel);
}

Options check_kvm_report_options(const KvmReportOptions& options,
                                 const fs::path& guest_programs)
{
    check_within("--rounds", options.rounds, 1, kMostBenchRounds);
    if (options.output.empty()) refuse_option("--output", "'' is no file");
    check_output("--output", options.output);
    RawOptions run;
    run.accel = "kvm";
    run.modes = kReportModes;
    run.workloads = {options.workload};
    run.pin = options.pin;
    run.qemu = options.qemu;
    run.kernel = options.kernel;
    return check_options(run, guest_programs);
}

int kvm_report(const KvmReportOptions& options, const fs::path& guest_programs,
               const std::vector<std::string>& command)
{
    const Options run = check_kvm_report_options(options, guest_programs);
    const auto why = without_whole_kvm(run.qemu, run.kernel);
    if (!why.empty()) {
        std::cerr << "ipidefer: " << why
                  << "; the report is made in the box, a KVM host under TCG\n";
        return in_box(options, run, command);
    }
    check_pin_here(run.pin);

    EndingSignals signals;
    const Scratch scratch;
    const fs::path folder = scratch.path() / kFolder;
    fs::create_directory(folder);
    write_whole(folder / "host.json", json_text(host_facts(), 2) + '\n');
    ordered_json summary = ordered_json::array();
    int worst = 0;
    for (const auto& step : steps(options, folder)) {
        Progress progress;
        progress.show(step.name);
        const auto start = std::chrono::steady_clock::now();
        Process program{
            {.program = step.words.front(),
             .arguments = {step.words.begin() + 1, step.words.end()},
             .environment = {std::string{kKvmVariable} + "=whole"},
             .log = folder / (step.name + ".txt"),
             .bound_to_us = true}};
        const int status = signals.wait_for(program).value();
        const std::chrono::duration<double> took =
            std::chrono::steady_clock::now() - start;
        summary.push_back({{"step", step.name},
                           {"command", shell_quoted(step.words)},
                           {"status", status},
                           {"seconds", took.count()}});
        progress.note(
            step.name + ": " +
            (status == 0 ? "done" : "status " + std::to_string(status)));
        // What a check warns of, and what is not possible here, is a fact of
        // this host.
        if (step.name != "check" &&
            status != static_cast<int>(Exit::kNotPossible))
            worst = std::max(worst, status);
    }
    write_whole(folder / "summary.json", json_text(summary, 2) + '\n');
    const auto packed =
        run_program("/bin/tar", {"-czf", fs::absolute(options.output).string(),
                                 "-C", scratch.path().string(), kFolder});
    if (packed.status != 0)
        throw Failure{Exit::kCannotRun, "cannot write '" + options.output + "'",
                      packed.output};
    std::cout << options.output << '\n';
    return worst;
}

}  // namespace ipidefer::lab
