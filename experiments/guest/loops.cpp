// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/loops.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/failure.hpp"
#include "base/log_histogram.hpp"
#include "base/text.hpp"
#include "experiments/guest/files.hpp"
#include "experiments/guest/workload.hpp"

namespace ipidefer::lab::agent {

/// Of a loop, 16 KiB.
constexpr std::size_t kMostListed = 1024;

/// What a loop and the agent share. Each member has one writer, so that all
/// accesses can be RELAXED: they are figures, and flags that are polled. But
/// for the list of gaps, which is handed over.
struct LoopPage {
    // Written by the agent.
    std::atomic<std::uint32_t> epoch{0};
    std::atomic<std::uint32_t> list_wanted{0};  // the epoch of a list
    std::atomic<bool> stop{false};
    std::uint64_t threshold_cycles = 0;  // before the fork
    // Written by the loop, on a line of their own.
    alignas(64) std::atomic<std::uint32_t> seen_epoch{0};
    std::atomic<bool> failed{false};
    std::atomic<bool> spinning{false};
    std::atomic<bool> stopped{false};
    std::atomic<std::uint64_t> interruptions{0};
    BasicLogHistogram<WatchedNumber> gaps;  // cycles
    std::atomic<std::uint32_t> listed{0};   // the epoch whose list is complete
    // The loop's own; the agent's once `listed` says so, until the next epoch.
    LongestGaps<kMostListed> longest;
};

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::chrono::seconds kLoopPatience{10};

/// How fast the TSC runs, by the kernel's clock.
double measure_cycles_per_ns()
{
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    const std::uint64_t first = __rdtsc();
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    const std::uint64_t last = __rdtsc();
    const std::chrono::duration<double, std::nano> took = Clock::now() - begin;
    return static_cast<double>(last - first) / took.count();
}

/// The number behind `name` in a file of lines such as "name: 5".
std::uint64_t number_after(const std::string& text, const std::string& name)
{
    for (const auto line : lines_of(text)) {
        if (!line.starts_with(name)) continue;
        const auto colon = line.find(':');
        if (colon != std::string_view::npos)
            return number_of<std::uint64_t>(trimmed(line.substr(colon + 1)))
                .value_or(0);
    }
    return 0;
}

/// Where the process is, and whether it stays there.
void look_at(pid_t pid, Loops::Seen& seen)
{
    // Fields behind the name, of which the state is the first and the CPU the
    // 37th: proc_pid_stat(5).
    constexpr std::size_t kProcessor = 37;
    const std::string folder = "/proc/" + std::to_string(pid);
    const std::string stat = read_file(folder + "/stat").value_or("");
    const auto name_end = stat.rfind(") ");
    if (name_end == std::string::npos) return;
    const auto fields = words_of(std::string_view{stat}.substr(name_end + 2));
    if (fields.size() < kProcessor) return;
    seen.state = fields.front();
    seen.runs_on = number_of<unsigned>(fields[kProcessor - 1]).value_or(0);
    // The second file is there if the kernel has CONFIG_SCHED_DEBUG.
    seen.left = number_after(read_file(folder + "/status").value_or(""),
                             "voluntary_ctxt_switches") +
                number_after(read_file(folder + "/sched").value_or(""),
                             "se.nr_migrations");
}

void await(const std::string& what, const std::function<bool()>& done)
{
    const auto limit = std::chrono::steady_clock::now() + kLoopPatience;
    while (!done()) {
        if (std::chrono::steady_clock::now() > limit)
            throw std::runtime_error{what + " did not happen within " +
                                     std::to_string(kLoopPatience.count()) +
                                     " s"};
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
}

/// No call, no fault, nothing that could enter the kernel.
void spin(LoopPage& page)
{
    std::uint32_t epoch = 0;
    std::uint64_t interruptions = 0;
    bool listing = false;
    std::uint64_t last = __rdtsc();
    page.spinning.store(true, kRelaxed);
    while (!page.stop.load(kRelaxed)) {
        const std::uint64_t now = __rdtsc();
        const std::uint64_t gap = now - last;
        last = now;
        if (const auto wanted = page.epoch.load(kRelaxed); wanted != epoch) {
            epoch = wanted;
            interruptions = 0;
            page.interruptions.store(0, kRelaxed);
            page.gaps.clear();
            page.longest.clear();
            listing = true;
            page.seen_epoch.store(epoch, kRelaxed);
            // Its own work is no gap.
            last = __rdtsc();
        } else {
            page.gaps.add(gap);
            if (gap > page.threshold_cycles) {
                page.interruptions.store(++interruptions, kRelaxed);
                if (listing) {
                    page.longest.add({now - gap, gap});
                    // Its own work is no gap.
                    last = __rdtsc();
                }
            }
            if (listing && page.list_wanted.load(kRelaxed) == epoch) {
                listing = false;
                // Ordering: RELEASE hands the list over; pairs with the
                // ACQUIRE of Loops::list().
                page.listed.store(epoch, std::memory_order_release);
            }
        }
    }
}

[[noreturn]] void be_a_loop(unsigned cpu, LoopPage& page)
{
    try {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_to({cpu});
        if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
            throw system_failure("mlockall");
    } catch (const std::exception&) {
        page.failed.store(true, kRelaxed);
        ::_exit(1);
    }
    spin(page);
    // The kernel entry that must find all that was deferred.
    ::syscall(SYS_getppid);
    page.stopped.store(true, kRelaxed);
    for (;;) ::pause();
}

}  // namespace

Loops::Loops(const std::vector<unsigned>& cpus, std::uint64_t threshold_ns)
    : cycles_per_ns_{measure_cycles_per_ns()}
{
    for (const unsigned cpu : cpus) {
        void* memory = ::mmap(nullptr, sizeof(LoopPage), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory == MAP_FAILED) throw system_failure("mmap");
        auto* page = new (memory) LoopPage;
        page->threshold_cycles = static_cast<std::uint64_t>(
            static_cast<double>(threshold_ns) * cycles_per_ns_);
        const pid_t child = ::fork();
        if (child < 0) throw system_failure("fork");
        if (child == 0) be_a_loop(cpu, *page);
        loops_.push_back({cpu, child, page});
    }
    await("spinning on the isolated CPUs", [this] {
        return std::ranges::all_of(loops_, [](const Loop& loop) {
            if (loop.page->failed.load(kRelaxed))
                throw std::runtime_error{
                    "cannot pin and lock a process on CPU " +
                    std::to_string(loop.cpu)};
            return loop.page->spinning.load(kRelaxed);
        });
    });
}

Loops::~Loops()
{
    for (const auto& loop : loops_) {
        ::kill(loop.pid, SIGKILL);
        ::waitpid(loop.pid, nullptr, 0);
        ::munmap(loop.page, sizeof(LoopPage));
    }
}

void Loops::mark()
{
    marked_at_ = __rdtsc();
    for (const auto& loop : loops_) loop.page->epoch.fetch_add(1, kRelaxed);
    await("a new count in the loops", [this] {
        return std::ranges::all_of(loops_, [](const Loop& loop) {
            return loop.page->seen_epoch.load(kRelaxed) ==
                   loop.page->epoch.load(kRelaxed);
        });
    });
}

void Loops::stop()
{
    for (const auto& loop : loops_) loop.page->stop.store(true, kRelaxed);
    await("the end of the loops", [this] {
        return std::ranges::all_of(loops_, [](const Loop& loop) {
            return loop.page->stopped.load(kRelaxed);
        });
    });
}

std::vector<Loops::Seen> Loops::seen() const
{
    std::vector<Seen> all;
    for (const auto& loop : loops_) {
        const std::uint64_t longest = loop.page->gaps.most();
        Seen seen{loop.cpu, loop.page->interruptions.load(kRelaxed),
                  longest,  nanoseconds(longest),
                  {},       loop.cpu,
                  0};
        look_at(loop.pid, seen);
        all.push_back(std::move(seen));
    }
    return all;
}

std::map<unsigned, Loops::Gaps> Loops::gaps() const
{
    std::map<unsigned, Gaps> all;
    for (const auto& loop : loops_)
        LogHistogram{loop.page->gaps}.each(
            [&](std::uint64_t last, std::uint64_t count) {
                all[loop.cpu][nanoseconds(last)] += count;
            });
    return all;
}

std::vector<Loops::Listed> Loops::list()
{
    for (const auto& loop : loops_)
        loop.page->list_wanted.store(loop.page->epoch.load(kRelaxed), kRelaxed);
    await("a list of the loops' gaps", [this] {
        return std::ranges::all_of(loops_, [](const Loop& loop) {
            // Ordering: ACQUIRE takes the list over; pairs with the RELEASE of
            // spin().
            return loop.page->listed.load(std::memory_order_acquire) ==
                   loop.page->epoch.load(kRelaxed);
        });
    });
    std::vector<Listed> all;
    for (const auto& loop : loops_)
        all.push_back({loop.cpu, loop.page->longest.kept(),
                       loop.page->longest.left_out()});
    return all;
}

std::uint64_t Loops::nanoseconds(std::uint64_t cycles) const
{
    return static_cast<std::uint64_t>(static_cast<double>(cycles) /
                                      cycles_per_ns_);
}

}  // namespace ipidefer::lab::agent
