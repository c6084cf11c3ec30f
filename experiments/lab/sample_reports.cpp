// SPDX-License-Identifier: GPL-2.0-or-later
// Reports that no guest has to be booted for, for tests of what is done with
// reports: one file each in a folder. They have all that a report can have.
#include <filesystem>
#include <iostream>
#include <string>

#include "base/file.hpp"
#include "base/json_writer.hpp"
#include "experiments/lab/gap_causes.hpp"
#include "experiments/lab/lab_testing.hpp"
#include "experiments/lab/provenance.hpp"
#include "experiments/lab/report_json.hpp"

namespace ipidefer::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kSeed = 42;
constexpr unsigned kRepetitions = 8;

Guest guest_of(const Arm& arm, unsigned repetition)
{
    Guest guest;
    guest.mode = arm.mode;
    guest.turn = {repetition, arm.letter};
    guest.release = "6.12.9";
    guest.version = "#1 SMP PREEMPT_DYNAMIC";
    guest.kernel_command_line =
        "nohz_full=2-3 ipi_defer=" + std::string{name(in_the_guest(arm.mode))};
    guest.messages = {"ipi_defer: on"};
    guest.missing = {"the event ipi:ipi_send_cpu"};
    guest.qemu_version = "10.0.2";
    guest.qemu_command_line = {"qemu-system-x86_64", "-smp", "4", "-m", "512M"};
    return guest;
}

/// As the lab writes it, but for what is another one wherever it is made.
Report report_of(const std::string& command)
{
    Report report;
    report.provenance = provenance(Options{}, {"ipidefer", "lab", "run"});
    report.provenance["date"] = "2026-01-02T03:04:05Z";
    report.provenance["command_line"] = command;
    report.provenance["host"] = {{"kernel", "Linux 6.1.0"}, {"cpus", 2}};
    for (const char* program : {"kernel", "qemu"}) {
        report.provenance[program]["sha256"] = std::string(64, 'a');
        report.provenance[program]["built_from"] = {"source 1.2", "gcc 12"};
    }
    return report;
}

/// Most gaps are the host's; off has those of its interrupts too.
void list_gaps(Run& run)
{
    for (auto& [cpu, loop] : run.loops) {
        for (unsigned i = 0; i < 30; ++i)
            loop.listed.push_back({1'000'000ULL * (7 * i + cpu),
                                   10'000ULL + 1'000 * (i * i % 17),
                                   kNothingInGuest});
        if (run.mode == Mode::kOff)
            loop.listed.push_back({300'000'000, 45'000, "call_function"});
        loop.left_out = 2;
    }
}

Report one_of_each()
{
    Report report = report_of("ipidefer lab run --modes off,guest,hv,kvm");
    for (const Mode mode : kModes) {
        report.runs.push_back(test::good_result(mode));
        list_gaps(report.runs.back());
        report.guests.push_back(guest_of({mode}, 1));
    }
    Run& run = report.runs.back();
    run.merged[test::kVector] = 1;
    for (const unsigned cpu : run.isolated) {
        run.kvm[cpu] = {{"exits", 20}, {"irq_exits", 10}};
        run.host_interrupts[cpu] = 3;
    }
    return report;
}

Report of_nested_guests()
{
    Report report = one_of_each();
    for (Run& run : report.runs)
        for (const unsigned cpu : run.isolated) {
            run.loops.clear();
            run.nested[cpu] = {7, 5, "guest", "kernel"};
        }
    return report;
}

/// Everything that may go wrong.
Report of_defects()
{
    Report report = one_of_each();
    report.runs[0].guest_mode.reset();
    report.runs[1].disagreements = {"vCPU 2: 3 requests, but 2 interrupts"};
    report.runs.pop_back();
    report.given_up =
        GivenUp{Mode::kKvm, "the guest panicked", "Kernel panic - not syncing"};
    report.starved.push_back({Mode::kHv, "vCPU 2", milliseconds{5500},
                              "the host starved vCPU 2 for 5.5 s", true});
    return report;
}

/// off interrupts a few more or less each time, and hv does not at all.
Report repeated()
{
    const std::vector<Mode> modes{Mode::kOff, Mode::kHv};
    Report report = report_of("ipidefer lab run --modes off,hv --repeat 8");
    report.repetitions = Repetitions{kSeed, arms_of(modes, kRepetitions),
                                     plan(modes, kRepetitions, kSeed)};
    for (unsigned i = 0; i < kRepetitions; ++i)
        for (const auto& [point, arm] : report.repetitions->order[i]) {
            Run run = test::good_result(arm.mode);
            run.turn = {i + 1, arm.letter};
            list_gaps(run);
            if (arm.mode == Mode::kOff)
                run.interrupts["CAL"] +=
                    arm.letter == 'A' ? i % 3 : (i + 1) % 3;
            report.runs.push_back(std::move(run));
            report.guests.push_back(guest_of(arm, i + 1));
        }
    // One that the host starved has no run.
    const Run lost = report.runs.back();
    report.runs.pop_back();
    report.guests.pop_back();
    report.starved.push_back({lost.mode, "vCPU 3", milliseconds{6000},
                              "the host starved vCPU 3 for 6.0 s", false,
                              lost.turn});
    return report;
}

/// off interrupts more where there are more vCPUs.
Report swept()
{
    Report report = report_of("ipidefer lab run --sweep cpus=4,8");
    for (const char* cpus : {"4", "8"}) {
        const Factors factors{{"cpus", cpus}, {"append", ""}};
        report.sweep.push_back(factors);
        for (const Mode mode : {Mode::kOff, Mode::kHv}) {
            Run run = test::good_result(mode);
            run.turn.factors = factors;
            if (mode == Mode::kOff)
                run.interrupts["CAL"] += report.sweep.size();
            report.runs.push_back(std::move(run));
            report.guests.push_back(guest_of({mode}, 1));
            report.guests.back().turn.factors = factors;
        }
    }
    return report;
}

void write(const std::filesystem::path& file, const Report& report)
{
    write_whole(file,
                json_text(to_json(report, repeated_of(report)), 2) + '\n');
}

int write_samples(const std::filesystem::path& folder)
{
    write(folder / "one-of-each.json", one_of_each());
    write(folder / "nested.json", of_nested_guests());
    write(folder / "defects.json", of_defects());
    write(folder / "repeated.json", repeated());
    write(folder / "swept.json", swept());
    return 0;
}

}  // namespace
}  // namespace ipidefer::lab

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::cerr << "usage: ipidefer-sample-reports FOLDER\n";
        return 1;
    }
    return ipidefer::lab::write_samples(argv[1]);
}
