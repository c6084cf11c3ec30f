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
#include <utility>

#include "base/failure.hpp"
#include "base/pipe.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "host/blame/tracefs.h"
#include "host/blame/wanted_events.hpp"

namespace ipidefer::blame {
namespace {

using What = Event::What;

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

bool writes_events(const std::string& function)
{
    return std::ranges::any_of(kWritesEvents, [&](std::string_view begin) {
        return function.starts_with(begin);
    });
}

/// By the clock of the trace, "mono": CLOCK_MONOTONIC.
std::uint64_t now_ns()
{
    const std::chrono::nanoseconds now =
        std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(now.count());
}

/// Those of all that is wanted, each once, and a null pointer.
std::vector<const char*> systems()
{
    std::vector<const char*> all;
    for (const Wanted& wanted : kWanted)
        if (all.empty() || std::strcmp(all.back(), wanted.system) != 0)
            all.push_back(wanted.system);
    all.push_back(kStackWanted.system);
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

struct Held {
    Event event;
    std::uint64_t number = 0;  // as they were read
};

/// What one CPU wrote at a time stays in its order: a stack is behind its
/// event.
struct Later {
    bool operator()(const Held& one, const Held& two) const
    {
        return std::tie(one.event.ns, one.number) >
               std::tie(two.event.ns, two.number);
    }
};

}  // namespace

struct TraceSource::State {
    std::string name;
    tep_handle* tep = nullptr;
    tracefs_instance* instance = nullptr;
    UniqueFd alive;  // the watcher's other end
    std::unordered_map<int, Known> known;
    std::priority_queue<Held, std::vector<Held>, Later> held;
    /// By event, and by the numbers that it has.
    std::map<std::tuple<What, std::uint64_t, std::uint64_t>, std::string>
        reasons;
    std::unordered_map<std::uint64_t, std::string> functions;
    tep_format_field* caller = nullptr;  // of kernel_stack
    std::map<std::vector<std::uint64_t>, std::shared_ptr<const Stack>> stacks;
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
        if (seen.what == What::kStack)
            seen.stack = stack(record, std::exchange(seen.number, 0));
        finish(seen, record);
        held.push({std::move(seen), ++taken});
    }

    /// @param depth what the event says; it may be more than was recorded
    std::shared_ptr<const Stack> stack(tep_record* record, std::uint64_t depth)
    {
        const auto offset = static_cast<std::size_t>(caller->offset);
        const auto size = static_cast<std::size_t>(record->size);
        std::vector<std::uint64_t> addresses(
            size < offset
                ? 0
                : std::min<std::size_t>((size - offset) / sizeof(std::uint64_t),
                                        static_cast<std::size_t>(depth)));
        std::memcpy(addresses.data(),
                    static_cast<const char*>(record->data) + offset,
                    addresses.size() * sizeof(std::uint64_t));
        auto [at, fresh] = stacks.try_emplace(std::move(addresses));
        if (fresh) {
            auto names = std::make_shared<Stack>();
            for (const std::uint64_t address : at->first) {
                // A return address may be behind the function's end.
                const std::string name = address == kTrampoline
                                             ? "[ftrace trampoline]"
                                             : function(address - 1);
                if (!names->empty() || !writes_events(name))
                    names->push_back(name);
            }
            at->second = std::move(names);
        }
        return at->second;
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

    /// @return its event, or a null pointer when the kernel has none
    tep_event* know(const Wanted& wanted)
    {
        tep_event* const event =
            tep_find_event_by_name(tep, wanted.system, wanted.name);
        if (event == nullptr) return nullptr;
        Known fields{&wanted};
        const auto field = [&](const char* of) {
            return of == nullptr ? nullptr : tep_find_any_field(event, of);
        };
        fields.number = field(wanted.number);
        fields.other = field(wanted.other);
        fields.function = field(wanted.function);
        fields.text = field(wanted.text);
        known[event->id] = fields;
        return event;
    }

    void enable(const Wanted& wanted, const std::vector<Thread>& threads,
                const std::string& cpus)
    {
        const std::string full = std::string{wanted.system} + "/" + wanted.name;
        if (know(wanted) == nullptr) {
            if (wanted.needed)
                throw Failure{Exit::kNotPossible,
                              "this kernel has no event " + full};
            missing.push_back(full);
            return;
        }

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

    /// Not the instance's option, which has every event write a stack.
    void enable_stacks(const std::string& cpus)
    {
        tep_event* const event = know(kStackWanted);
        if (event != nullptr) caller = tep_find_any_field(event, kCaller);
        if (caller == nullptr)
            throw Failure{
                Exit::kNotPossible,
                "--stacks: this kernel writes no stacks "
                "(CONFIG_STACKTRACE); without it, senders have names"};
        for (const auto& [system, name, filter] : kStacked) {
            // It is among those that are missing.
            if (tep_find_event_by_name(tep, system, name) == nullptr) continue;
            const std::string of = filter + ("cpu & CPUS{" + cpus + "}");
            if (blame_instance_stacks(instance, system, name, of.c_str()) != 0)
                throw system_failure(
                    fmt::format("--stacks: cannot have a stack written for "
                                "each {}/{}",
                                system, name));
        }
    }
};

TraceSource::TraceSource(const std::vector<Thread>& threads, const CpuSet& cpus,
                         bool stacks)
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
    // The first look-up sorts all symbols, which is no time to fall behind.
    static_cast<void>(tep_find_function(state.tep, 0));

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
    if (stacks) state.enable_stacks(list);
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
    while (!state.held.empty() && state.held.top().event.ns < complete) {
        take(state.held.top().event);
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
