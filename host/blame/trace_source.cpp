// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/trace_source.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <queue>
#include <sstream>
#include <tuple>
#include <unordered_map>

#include "base/failure.hpp"
#include "base/pipe.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "host/blame/tracefs.h"

namespace ipidefer::blame {
namespace {

using What = Event::What;

enum class Filter : std::uint8_t {
    kNone,
    kThread,     // by one of the vCPUs' threads
    kTargetCpu,  // field "cpu" is one of theirs
};

struct Wanted {
    const char* system;
    const char* name;
    What what;
    Filter filter;
    const char* number = nullptr;  // fields
    const char* other = nullptr;
    const char* function = nullptr;  // an address, to be a name in text
    const char* text = nullptr;
    bool needed = false;
};

constexpr Wanted kWanted[] = {
    {"kvm", "kvm_entry", What::kEntry, Filter::kThread, nullptr, nullptr,
     nullptr, nullptr, true},
    {"kvm", "kvm_exit", What::kExit, Filter::kThread, "exit_reason", "isa",
     nullptr, nullptr, true},
    {"kvm", "kvm_inj_virq", What::kInject, Filter::kThread, "vector"},
    {"kvm", "kvm_apic_accept_irq", What::kAccept, Filter::kNone, "apicid",
     "vec"},
    {"kvm", "kvm_apic_ipi", What::kIpi, Filter::kThread, "icr_low"},
    {"kvm", "kvm_msi_set_irq", What::kMsi, Filter::kNone, "data"},
    {"kvm", "kvm_set_irq", What::kLine, Filter::kNone, "gsi"},
    {"kvm", "kvm_userspace_exit", What::kToUserspace, Filter::kThread, "reason",
     "errno"},
    {"kvm", "kvm_page_fault", What::kPageFault, Filter::kThread},
    {"irq_vectors", "local_timer_entry", What::kLocalTimer, Filter::kThread},
    {"irq_vectors", "reschedule_entry", What::kReschedule, Filter::kThread},
    {"irq_vectors", "irq_work_entry", What::kIrqWork, Filter::kThread},
    {"timer", "hrtimer_expire_entry", What::kTimerRuns, Filter::kThread,
     nullptr, nullptr, "function"},
    {"irq", "irq_handler_entry", What::kDeviceIrq, Filter::kThread, nullptr,
     nullptr, nullptr, "name"},
    {"csd", "csd_queue_cpu", What::kCallQueued, Filter::kTargetCpu, "cpu",
     nullptr, "func"},
    {"csd", "csd_function_entry", What::kCallRuns, Filter::kThread, nullptr,
     nullptr, "func"},
    {"ipi", "ipi_send_cpu", What::kIpiSent, Filter::kTargetCpu, "cpu", nullptr,
     "callback"},
    {"sched", "sched_switch", What::kSwitch, Filter::kThread, "prev_state",
     nullptr, nullptr, "next_comm"},
};

/// Reasons of exits that an interrupt forces: SVM's INTR, NMI, SMI, VINTR;
/// VMX's external interrupt, interrupt window, NMI by exception.
bool forced(std::uint64_t isa, std::uint64_t reason)
{
    if (isa == 1) return (reason & 0xffff) == 1 || (reason & 0xffff) == 7;
    return reason >= 0x60 && reason <= 0x64 && reason != 0x63;
}

/// In the process that watches: removes the instance when ours is gone.
[[noreturn]] void watch(const std::string& name, int gone)
{
    // Whoever ends ours by the terminal or its group shall not end this.
    ::setsid();
    // Nor shall whoever reads our output wait for it.
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        ::close(standard);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
        ::signal(signal, SIG_IGN);
    char byte = 0;
    ssize_t got = 0;
    do got = ::read(gone, &byte, 1);
    while (got < 0 && errno == EINTR);
    // A byte: the instance was removed as it should be.
    if (got == 0) blame_instance_remove_named(name.c_str());
    ::_exit(0);
}

/// By the clock of the trace, "mono": CLOCK_MONOTONIC.
std::uint64_t now_ns()
{
    const std::chrono::nanoseconds now =
        std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(now.count());
}

/// Those of kWanted, each once, and a null pointer.
std::vector<const char*> systems()
{
    std::vector<const char*> all;
    for (const Wanted& wanted : kWanted)
        if (all.empty() || std::strcmp(all.back(), wanted.system) != 0)
            all.push_back(wanted.system);
    all.push_back(nullptr);
    return all;
}

struct Known {
    const Wanted* wanted = nullptr;
    tep_format_field* number = nullptr;
    tep_format_field* other = nullptr;
    tep_format_field* function = nullptr;
    tep_format_field* text = nullptr;
};

struct Later {
    bool operator()(const Event& one, const Event& two) const
    {
        return one.ns > two.ns;
    }
};

}  // namespace

struct TraceSource::State {
    std::string name;
    tep_handle* tep = nullptr;
    tracefs_instance* instance = nullptr;
    UniqueFd alive;  // the watcher's other end
    std::unordered_map<int, Known> known;
    std::priority_queue<Event, std::vector<Event>, Later> held;
    /// By event, and by the numbers that it has.
    std::map<std::tuple<What, std::uint64_t, std::uint64_t>, std::string>
        reasons;
    std::unordered_map<std::uint64_t, std::string> functions;
    std::unordered_map<int, std::string> comms;
    std::vector<std::string> missing;
    std::uint64_t lost = 0;
    std::uint64_t taken = 0;
    bool stopped = false;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State()
    {
        blame_instance_remove(instance);
        // If that fails, the watcher finds nothing to remove.
        if (tep != nullptr) tep_free(tep);
        if (alive.get() >= 0) static_cast<void>(!::write(alive.get(), "", 1));
    }

    const std::string& function(std::uint64_t address)
    {
        auto [at, fresh] = functions.try_emplace(address);
        if (fresh && address != 0) {
            const char* found = tep_find_function(tep, address);
            at->second =
                found != nullptr ? found : fmt::format("{:#x}", address);
        }
        return at->second;
    }

    const std::string& comm(int pid)
    {
        auto [at, fresh] = comms.try_emplace(pid);
        if (fresh) {
            std::string name = pid == 0 ? "idle" : "";
            std::getline(std::ifstream{fmt::format("/proc/{}/comm", pid)},
                         name);
            // Anybody may call a thread anything.
            at->second =
                name.empty() ? fmt::format("PID {}", pid) : printable(name);
        }
        return at->second;
    }

    /// The word behind "reason" as the kernel prints the event.
    std::string reason(tep_record* record)
    {
        trace_seq text{};
        trace_seq_init(&text);
        tep_print_event(tep, &text, record, "%s", TEP_PRINT_INFO);
        trace_seq_terminate(&text);
        const std::string line{text.buffer, text.len};
        trace_seq_destroy(&text);
        const auto words = words_of(line);
        const auto at = std::ranges::find(words, "reason");
        return at == words.end() || at + 1 == words.end()
                   ? std::string{"?"}
                   : std::string{*(at + 1)};
    }

    void parse(tep_event* event, tep_record* record, int cpu)
    {
        const auto found = known.find(event->id);
        if (found == known.end()) return;
        const Known& fields = found->second;
        Event seen;
        seen.ns = record->ts;
        seen.cpu = static_cast<unsigned>(cpu);
        seen.pid = tep_data_pid(tep, record);
        seen.what = fields.wanted->what;
        unsigned long long value = 0;
        if (fields.number != nullptr &&
            tep_read_number_field(fields.number, record->data, &value) == 0)
            seen.number = value;
        if (fields.other != nullptr &&
            tep_read_number_field(fields.other, record->data, &value) == 0)
            seen.other = value;
        if (fields.function != nullptr &&
            tep_read_number_field(fields.function, record->data, &value) == 0)
            seen.text = function(value);
        if (fields.text != nullptr) seen.text = text_in(fields, record);
        finish(seen, record);
        ++taken;
        held.push(std::move(seen));
    }

    static std::string text_in(const Known& fields, tep_record* record)
    {
        const char* begin =
            static_cast<const char*>(record->data) + fields.text->offset;
        auto size = static_cast<std::size_t>(fields.text->size);
        if ((fields.text->flags & TEP_FIELD_IS_DYNAMIC) != 0) {
            unsigned long long where = 0;
            if (tep_read_number_field(fields.text, record->data, &where) != 0)
                return {};
            begin = static_cast<const char*>(record->data) + (where & 0xffff);
            size = static_cast<std::size_t>(where >> 16);
        }
        return printable({begin, ::strnlen(begin, size)});
    }

    /// What the numbers mean.
    void finish(Event& seen, tep_record* record)
    {
        const auto is = [&seen](std::initializer_list<What> some) {
            return std::ranges::find(some, seen.what) != some.end();
        };
        if (is({What::kExit, What::kToUserspace})) {
            auto [at, fresh] =
                reasons.try_emplace({seen.what, seen.other, seen.number});
            if (fresh) at->second = reason(record);
            seen.text = at->second;
        }
        if (seen.what == What::kExit)
            seen.number = forced(seen.other, seen.number) ? 1 : 0;
        if (is({What::kIpi, What::kMsi})) seen.number &= 0xff;
        if (is({What::kIpi, What::kMsi, What::kAccept, What::kLine,
                What::kCallQueued, What::kIpiSent}))
            seen.comm = comm(seen.pid);
        // TASK_RUNNING is 0; for one that is preempted there is a bit above
        // all states (include/trace/events/sched.h).
        if (seen.what == What::kSwitch)
            seen.number = (seen.number & 0xff) == 0 ? 1 : 0;
    }

    void enable(const Wanted& wanted, const std::vector<Thread>& threads,
                const std::string& cpus)
    {
        const std::string full = std::string{wanted.system} + "/" + wanted.name;
        tep_event* const event =
            tep_find_event_by_name(tep, wanted.system, wanted.name);
        if (event == nullptr) {
            if (wanted.needed)
                throw Failure{Exit::kNotPossible,
                              "this kernel has no event " + full};
            missing.push_back(full);
            return;
        }
        Known fields{&wanted};
        const auto field = [&](const char* of) {
            return of == nullptr ? nullptr : tep_find_any_field(event, of);
        };
        fields.number = field(wanted.number);
        fields.other = field(wanted.other);
        fields.function = field(wanted.function);
        fields.text = field(wanted.text);
        known[event->id] = fields;

        std::string filter;
        if (wanted.filter == Filter::kThread) {
            // The previous thread is the current one still in sched_switch.
            for (const Thread& thread : threads)
                filter += fmt::format("{}common_pid == {}",
                                      filter.empty() ? "" : " || ", thread.pid);
        } else if (wanted.filter == Filter::kTargetCpu) {
            filter = "cpu & CPUS{" + cpus + "}";
        }
        // A filter that the kernel does not take (CPUS is of Linux 6.6, and
        // their length has a limit) leaves more to be read.
        if (blame_instance_enable(instance, wanted.system, wanted.name,
                                  filter.empty() ? nullptr : filter.c_str()) !=
            0)
            throw system_failure("cannot trace " + full);
    }
};

TraceSource::TraceSource(const std::vector<Thread>& threads, const CpuSet& cpus)
    : state_{std::make_unique<State>()}
{
    State& state = *state_;
    state.name = fmt::format("ipidefer-blame-{}", ::getpid());
    if (!blame_tracefs_usable())
        throw Failure{Exit::kNotPossible,
                      "there is no tracefs, or this is not root"};
    state.tep = blame_tracefs_events(systems().data());
    if (state.tep == nullptr)
        throw Failure{Exit::kNotPossible,
                      std::string{"cannot read the events of tracefs: "} +
                          std::strerror(errno)};
    std::ostringstream symbols;
    symbols << std::ifstream{"/proc/kallsyms"}.rdbuf();
    tep_parse_kallsyms(state.tep, symbols.str().c_str());

    // The watcher is there before there is something to remove.
    Pipe pipe;
    const pid_t watcher = ::fork();
    if (watcher < 0) throw system_failure("fork");
    if (watcher == 0) {
        // A grandchild: nobody has to wait for it.
        pipe.write = UniqueFd{};
        if (::fork() != 0) ::_exit(0);
        watch(state.name, pipe.read.get());
    }
    int status = 0;
    ::waitpid(watcher, &status, 0);
    state.alive = std::move(pipe.write);

    state.instance = blame_instance_make(state.name.c_str(), "mono");
    if (state.instance == nullptr)
        throw system_failure(
            "cannot make an instance of tracefs with clock \"mono\"");
    const std::string list = format_cpulist(cpus);
    for (const Wanted& wanted : kWanted) state.enable(wanted, threads, list);
    blame_instance_follow_missed(
        state.instance,
        [](tep_event*, tep_record* record, int, void* self) {
            auto& counted = static_cast<State*>(self)->lost;
            // Negative: some, and nobody knows how many.
            counted += record->missed_events > 0
                           ? static_cast<std::uint64_t>(record->missed_events)
                           : 1;
            return 0;
        },
        &state);
    blame_instance_switch(state.instance, true);
}

TraceSource::~TraceSource() = default;

void TraceSource::stop()
{
    blame_instance_switch(state_->instance, false);
    state_->stopped = true;
}

void TraceSource::read(const std::function<void(const Event&)>& take)
{
    State& state = *state_;
    const std::uint64_t complete = state.stopped ? UINT64_MAX : now_ns();
    errno = 0;
    if (blame_instance_read(
            state.tep, state.instance,
            [](tep_event* event, tep_record* record, int cpu, void* self) {
                static_cast<State*>(self)->parse(event, record, cpu);
                return 0;
            },
            &state) < 0)
        throw system_failure("cannot read from tracefs");
    // What is newer than the beginning of the reading may have something older
    // behind it, on a CPU that was read earlier.
    while (!state.held.empty() && state.held.top().ns < complete) {
        take(state.held.top());
        state.held.pop();
    }
}

std::uint64_t TraceSource::lost() const { return state_->lost; }
std::uint64_t TraceSource::taken() const { return state_->taken; }
const std::vector<std::string>& TraceSource::missing() const
{
    return state_->missing;
}

}  // namespace ipidefer::blame
