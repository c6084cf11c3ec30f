// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/blame_watch.hpp"

#include <sched.h>
#include <sys/resource.h>

#include "base/failure.hpp"
#include "base/option_value.hpp"
#include "host/blame/vcpu_threads.hpp"

namespace ipidefer::cli {
namespace {

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

}  // namespace

BlameWatch::BlameWatch(const Options& options)
    : pid_{options.pid},
      threads_{blame::vcpu_threads(options.pid)},
      watched_{chosen(threads_, options.vcpus)},
      attribution_{threads_},
      source_{threads_, cpus_of(threads_), options.stacks},
      first_{counts()},
      last_{first_}
{
}

void BlameWatch::read()
{
    source_.read(
        [this](const blame::Event& event) { attribution_.feed(event); });
}

void BlameWatch::stop()
{
    source_.stop();
    read();
}

BlameWatch::Counts BlameWatch::counts() const
{
    return {Clock::now(), cpu_seconds(), source_.taken(), source_.lost(),
            attribution_.unseen()};
}

blame::Blame BlameWatch::between(const Counts& from, const Counts& to,
                                 const blame::Tallies& tallies) const
{
    blame::Blame found;
    found.pid = pid_;
    found.seconds = std::chrono::duration<double>(to.when - from.when).count();
    found.events = to.events - from.events;
    found.lost = to.lost - from.lost;
    found.open = both(attribution_.open(), watched_);
    found.unseen = to.unseen - from.unseen;
    found.cost_seconds = to.cost_seconds - from.cost_seconds;
    found.missing = source_.missing();
    found.tallies = tallies;
    return found;
}

blame::Blame BlameWatch::part()
{
    const Counts now = counts();
    blame::Tallies watched;
    for (auto& row : attribution_.take())
        if (watched_.contains(row.first.first)) watched.insert(row);
    blame::add(sum_, watched);
    auto found = between(last_, now, watched);
    last_ = now;
    return found;
}

blame::Blame BlameWatch::whole() const { return between(first_, last_, sum_); }

}  // namespace ipidefer::cli
