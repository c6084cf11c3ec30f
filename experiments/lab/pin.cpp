// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/pin.hpp"

#include <sched.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"

namespace ipidefer::lab {
namespace {

void bind(pid_t thread, const cpu_set_t& cpus)
{
    // A thread that has ended meanwhile needs no CPU.
    if (::sched_setaffinity(thread, sizeof cpus, &cpus) != 0 && errno != ESRCH)
        throw system_failure("--pin: thread " + std::to_string(thread));
}

cpu_set_t only(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return set;
}

/// What we may run on, without these.
cpu_set_t all_but(const CpuSet& cpus)
{
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) != 0)
        throw system_failure("sched_getaffinity");
    for (const unsigned cpu : cpus) CPU_CLR(cpu, &set);
    if (CPU_COUNT(&set) == 0)
        throw Failure{Exit::kCannotRun, "--pin: no host CPU is left beside " +
                                            format_cpulist(cpus)};
    return set;
}

}  // namespace

void check_pin(const std::vector<unsigned>& hosts, const CpuSet& there)
{
    for (const unsigned host : hosts)
        if (!there.contains(host))
            refuse_option("--pin", std::to_string(host) +
                                       " is not one of the host's CPUs, " +
                                       format_cpulist(there));
}

void check_pin_here(const std::vector<unsigned>& hosts)
{
    if (hosts.empty()) return;
    // Not those that we may run on now, which isolated ones are not among.
    check_pin(hosts, parse_kernel_cpulist(
                         trimmed(read_whole("/sys/devices/system/cpu/online")),
                         kMostCpus));
    (void)all_but({hosts.begin(), hosts.end()});
}

void pin(pid_t qemu, const nlohmann::json& cpus, const CpuSet& isolated,
         const std::vector<unsigned>& hosts)
{
    std::map<unsigned, pid_t> threads;
    for (const auto& cpu : cpus)
        threads[cpu.at("cpu-index")] = cpu.at("thread-id");
    const cpu_set_t rest = all_but({hosts.begin(), hosts.end()});
    const std::filesystem::path tasks =
        "/proc/" + std::to_string(qemu) + "/task";
    for (const auto& task : std::filesystem::directory_iterator{tasks})
        bind(std::stoi(task.path().filename()), rest);
    // Nor do we disturb them.
    bind(0, rest);
    auto host = hosts.begin();
    for (const unsigned cpu : isolated) bind(threads.at(cpu), only(*host++));
}

}  // namespace ipidefer::lab
