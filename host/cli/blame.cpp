// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer blame: who takes a VM's vCPUs out of the guest, and for how long.
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "base/cpulist.hpp"
#include "base/duration.hpp"
#include "base/failure.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "host/blame/report.hpp"
#include "host/blame/trace_source.hpp"
#include "host/blame/vcpu_threads.hpp"
#include "host/cli/command.hpp"

namespace ipidefer::cli {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kBetweenReads = 100ms;

struct BlameOptions {
    int pid = 0;
    std::string vcpus;
    std::string duration = "10s";
    bool json = false;
};

/// Host CPUs that the threads may run on.
CpuSet cpus_of(const std::vector<blame::Thread>& threads)
{
    CpuSet cpus;
    for (const auto& thread : threads) {
        cpu_set_t set;
        if (::sched_getaffinity(thread.pid, sizeof set, &set) != 0) continue;
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &set)) cpus.insert(cpu);
    }
    return cpus;
}

/// The vCPUs that are asked for.
CpuSet chosen(const std::vector<blame::Thread>& threads,
              const std::string& list)
{
    CpuSet all;
    for (const auto& thread : threads) all.insert(thread.vcpu);
    if (list.empty()) return all;
    return named_option("--vcpus", [&] {
        CpuSet wanted = parse_cpulist(list, *all.rbegin());
        if (const CpuSet others = without(wanted, all); !others.empty())
            throw Failure{Exit::kCannotRun,
                          "the VM has no vCPU " + format_cpulist(others) +
                              ", only " + format_cpulist(all)};
        return wanted;
    });
}

double cpu_seconds()
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) +
               static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int run_blame(const BlameOptions& options)
{
    const auto duration = named_option("--duration", [&] {
        const auto parsed = parse_duration(options.duration);
        if (parsed <= 0ns)
            throw Failure{Exit::kCannotRun, "nothing comes in no time"};
        return parsed;
    });
    const auto threads = blame::vcpu_threads(options.pid);
    blame::Attribution attribution{threads};
    const auto watched = chosen(threads, options.vcpus);
    static_cast<void>(interrupted());

    blame::TraceSource source{threads, cpus_of(threads)};
    const bool shown = ::isatty(STDERR_FILENO) != 0;
    const auto feed = [&attribution](const blame::Event& event) {
        attribution.feed(event);
    };
    const double before = cpu_seconds();
    const auto start = Clock::now();
    const auto end = start + duration;
    while (!interrupted() && Clock::now() < end) {
        std::this_thread::sleep_for(
            std::min<Clock::duration>(kBetweenReads, end - Clock::now()));
        source.read(feed);
        if (shown)
            std::cerr << fmt::format(
                "\r\033[Kblame: {:.0f} s left, {} events",
                std::chrono::duration<double>(end - Clock::now()).count(),
                source.taken());
    }
    source.stop();
    blame::Blame found;
    found.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    source.read(feed);
    if (shown) std::cerr << "\r\033[K";
    found.pid = options.pid;
    found.events = source.taken();
    found.lost = source.lost();
    found.open = both(attribution.open(), watched);
    found.unseen = attribution.unseen();
    found.cost_seconds = cpu_seconds() - before;
    found.missing = source.missing();
    for (const auto& row : attribution.tallies())
        if (watched.contains(row.first.first)) found.tallies.insert(row);
    if (options.json)
        std::cout << json_text(to_json(found), 2) << '\n';
    else
        std::cout << table(found);
    return 0;
}

}  // namespace

Run add_blame(CLI::App& app, const segment::Place&)
{
    auto options = std::make_shared<BlameOptions>();
    auto* command = app.add_subcommand(
        "blame",
        "attribute each time that a vCPU is out of its guest to a cause");
    command->add_option("--pid", options->pid, "the process that runs the VM")
        ->required();
    command->add_option("--vcpus", options->vcpus,
                        "vCPUs to show, as in 2-3 (default: all)");
    command
        ->add_option("--duration", options->duration,
                     "how long, as in 60s; SIGINT ends it earlier")
        ->capture_default_str();
    command->add_flag("--json", options->json, "print JSON");
    command->footer(
        "Each exit has one cause: what the guest did, or what was seen first "
        "of "
        "an\ninterrupt; \"also\" counts what came while the vCPU was away for "
        "another cause.\n\n"
        "Examples:\n"
        "  ipidefer blame --pid $(cat /run/libvirt/qemu/web1.pid) --vcpus 2-3\n"
        "  ipidefer blame --pid 4711 --duration 60s --json\n\n"
        "Exit status: 0 done, 1 could not run,\n"
        "77 there is no tracefs, or KVM has no trace events.");
    return [options] { return run_blame(*options); };
}

}  // namespace ipidefer::cli
