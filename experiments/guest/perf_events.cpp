// SPDX-License-Identifier: GPL-2.0-or-later
// lab-perf-events KIND N: opens perf events on this process and on the CPUs
// that it may run on, lets them count, and closes them, N times.
//
// KIND is counting: software events, which nothing reads before they end;
// tracepoint: the tracepoint sched_switch; sampling: a clock with a period;
// frequency: task switches that are sampled so many times a second, for which
// the kernel has all nohz_full CPUs tick. Ends with 77 if it has none.
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "experiments/guest/files.hpp"
#include "experiments/guest/repeat.hpp"

namespace {

using namespace ipidefer;

constexpr char kTracepoint[] =
    "/sys/kernel/tracing/events/sched/sched_switch/id";
constexpr std::uint64_t kPeriodNs = 10'000'000, kFrequency = 100;

perf_event_attr software(std::uint64_t config)
{
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = config;
    return attr;
}

/// What is opened for a kind; empty when the kernel has none, or there is no
/// such kind.
std::vector<perf_event_attr> events_of(std::string_view kind)
{
    if (kind == "counting")
        return {software(PERF_COUNT_SW_CPU_CLOCK),
                software(PERF_COUNT_SW_CONTEXT_SWITCHES),
                software(PERF_COUNT_SW_PAGE_FAULTS)};
    perf_event_attr attr = software(PERF_COUNT_SW_CPU_CLOCK);
    if (kind == "sampling") {
        attr.sample_period = kPeriodNs;
        return {attr};
    }
    if (kind == "frequency") {
        // Of a clock the kernel makes a period.
        attr.config = PERF_COUNT_SW_CONTEXT_SWITCHES;
        attr.freq = 1;
        attr.sample_freq = kFrequency;
        return {attr};
    }
    const auto id = lab::agent::read_file(kTracepoint);
    const auto number = number_of<std::uint64_t>(trimmed(id.value_or("")));
    if (kind != "tracepoint" || !number) return {};
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.config = *number;
    return {attr};
}

/// @param cpu  -1: this process, wherever it runs; else all that runs there
int open_event(const perf_event_attr& attr, int cpu)
{
    perf_event_attr own = attr;
    return static_cast<int>(::syscall(SYS_perf_event_open, &own,
                                      cpu < 0 ? 0 : -1, cpu, -1,
                                      PERF_FLAG_FD_CLOEXEC));
}

std::vector<int> targets()
{
    std::vector<int> all{-1};
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &set)) all.push_back(cpu);
    return all;
}

/// @return 0, or errno
int count_once(const std::vector<perf_event_attr>& events)
{
    std::vector<int> open;
    int error = 0;
    for (const perf_event_attr& attr : events)
        for (const int cpu : targets()) {
            const int fd = open_event(attr, cpu);
            if (fd < 0)
                error = errno;
            else
                open.push_back(fd);
        }
    ::usleep(1000);  // switches, and gives a clock the time to go off
    for (const int fd : open) {
        std::uint64_t count = 0;
        if (::read(fd, &count, sizeof count) != sizeof count) error = errno;
        ::close(fd);
    }
    return error;
}

}  // namespace

int main(int argc, char** argv)
{
    const std::string_view kind = argc == 3 ? argv[1] : "";
    const unsigned count =
        number_of<unsigned>(argc == 3 ? argv[2] : "").value_or(0);
    const bool known = kind == "counting" || kind == "tracepoint" ||
                       kind == "sampling" || kind == "frequency";
    if (count == 0 || !known) {
        std::fprintf(stderr,
                     "usage: lab-perf-events counting|tracepoint|sampling|"
                     "frequency N, a number from 1 on\n");
        return 1;
    }
    const auto events = events_of(kind);
    return lab::agent::repeat(
        {.once =
             [&](std::uint64_t) {
                 return events.empty() ? ENOENT : count_once(events);
             },
         .lacking = {ENOSYS, ENOENT},
         .lacks = "such perf events",
         .name = [](std::uint64_t) { return "lab-perf-events"; }},
        count);
}
