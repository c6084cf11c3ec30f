// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer trace: the events of one VM, while they come.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "host/cli/command.hpp"
#include "host/cli/guest_trace_file.hpp"
#include "host/segment/open.hpp"
#include "host/segment/trace_lease.hpp"
#include "host/segment/trace_reader.hpp"
#include "host/trace/filter.hpp"
#include "host/trace/output.hpp"
#include "host/trace/timeline.hpp"

namespace ipidefer::cli {
namespace {

using segment::OpenVm;
using segment::TraceLease;
using segment::TraceReader;
using trace::Filter;
using trace::GuestLine;
using trace::Moment;
using trace::Output;
using trace::Timeline;

constexpr auto kPoll = std::chrono::milliseconds{20};
/// As often as VMMs renew theirs.
constexpr auto kClockSample = std::chrono::seconds{1};

/// -e or -f, in the order in which they were given.
struct Selector {
    bool is_filter;
    std::string text;
};

struct TraceOptions {
    std::string vm;
    std::vector<Selector> selectors;
    std::optional<std::string> format;
    bool json = false;
    std::string output;
    std::string duration;
    std::string guest_trace;
    std::optional<std::int64_t> tsc_offset;
    std::string count;
    bool buffered = false;
    bool backlog = false;
    bool read_only = false;
};

/// Which events are shown: those of a kind that was asked for, that match all
/// filters of this kind.
class Selection {
  public:
    Selection(const std::vector<Selector>& selectors, std::uint32_t vcpus)
    {
        std::uint32_t current = 0;  // of the -e before
        for (const Selector& selector : selectors)
            if (selector.is_filter)
                add_filter(selector.text, current, vcpus);
            else
                kinds_ |= current = kind_of(selector.text);
        if (kinds_ == 0) kinds_ = IPIDEFER_TRACE_ALL;
    }

    [[nodiscard]] std::uint32_t kinds() const noexcept { return kinds_; }

    [[nodiscard]] bool matches(const trace::Event& event) const
    {
        if ((event.entry.kind & kinds_) == 0) return false;
        for (const auto& [kinds, filter] : filters_)
            if ((event.entry.kind & kinds) != 0 && !filter.matches(event))
                return false;
        return true;
    }

  private:
    static std::uint32_t kind_of(const std::string& name)
    {
        const auto kind = trace::event_kind(name);
        if (!kind)
            throw Failure{
                Exit::kCannotRun,
                "-e: '" + name + "' is neither ipi_send nor ipi_verdict"};
        return *kind;
    }

    /// For the -e before it, if that event has all its fields; else for the
    /// events that have, which are then shown too.
    void add_filter(const std::string& text, std::uint32_t current,
                    std::uint32_t vcpus)
    {
        try {
            Filter filter{text, vcpus};
            std::uint32_t kinds = filter.kinds() & current;
            if (kinds == 0) kinds = filter.kinds();
            if (kinds == 0)
                throw Failure{Exit::kCannotRun,
                              "-f: no event has all fields of '" + text + "'"};
            kinds_ |= kinds;
            filters_.emplace_back(kinds, std::move(filter));
        } catch (const trace::FilterError& error) {
            throw Failure{Exit::kCannotRun, "-f: " + std::string{error.what()},
                          error.show(text) + '\n'};
        }
    }

    std::uint32_t kinds_ = 0;
    std::vector<std::pair<std::uint32_t, Filter>> filters_;
};

/// Puts lines of the guest's trace between our events, by the host's TSC.
class Merger {
  public:
    Merger(Output& output, const Timeline& timeline,
           std::vector<GuestLine> lines, std::int64_t offset)
        : output_{output}, timeline_{timeline}, lines_{std::move(lines)}
    {
        for (GuestLine& line : lines_)
            line.tsc -= static_cast<std::uint64_t>(offset);
        std::ranges::stable_sort(lines_, {}, &GuestLine::tsc);
    }

    void event(const trace::Event& event)
    {
        guest_until(event.entry.tsc);
        output_.event(event, at(event.entry.tsc));
    }

    void rest() { guest_until(UINT64_MAX); }

  private:
    void guest_until(std::uint64_t tsc)
    {
        for (; next_ < lines_.size() && lines_[next_].tsc <= tsc; ++next_)
            output_.guest(lines_[next_], at(lines_[next_].tsc));
    }

    [[nodiscard]] Moment at(std::uint64_t tsc) const
    {
        return {tsc, timeline_.ns(tsc)};
    }

    Output& output_;
    const Timeline& timeline_;
    std::vector<GuestLine> lines_;
    std::size_t next_ = 0;
};

/// Of a command line that was looked through.
struct Limits {
    std::uint64_t count = 0;  // 0: none
    std::optional<std::chrono::nanoseconds> duration;
};

Limits check_limits(const TraceOptions& options)
{
    Limits limits;
    if (!options.count.empty()) {
        // The parser takes -1 for 2^64 - 1.
        const auto count = number_of<std::uint64_t>(options.count);
        if (!count)
            refuse_option("--count", in_quotes(options.count) +
                                         " is not a number of events from 0");
        limits.count = *count;
    }
    if (!options.duration.empty())
        limits.duration = named_option(
            "--duration", [&] { return parse_duration(options.duration); });
    return limits;
}

void check_together(const TraceOptions& options)
{
    if (options.tsc_offset && options.guest_trace.empty())
        refuse_option("--tsc-offset", std::to_string(*options.tsc_offset) +
                                          " needs --guest-trace");
    if (options.json && options.format && *options.format != "json")
        refuse_option("--format", in_quotes(*options.format) +
                                      " and --json are two formats: one of "
                                      "them is needed");
}

trace::Format format_of(const TraceOptions& options)
{
    const std::string text =
        options.json ? "json" : options.format.value_or("text");
    if (text == "text") return trace::Format::kText;
    if (text == "json") return trace::Format::kJson;
    return trace::Format::kPerfetto;
}

std::vector<GuestLine> guest_lines(const TraceOptions& options)
{
    if (options.guest_trace.empty()) return {};
    trace::GuestTrace trace = read_guest_trace_file(options.guest_trace);
    if (trace.lost != 0)
        std::cerr << "ipidefer: the guest lost " << trace.lost << " events\n";
    if (trace.others != 0)
        std::cerr << "ipidefer: --guest-trace: lines that are no events: "
                  << trace.others << ", the first is line " << trace.first_other
                  << ": '" << printable(trimmed(trace.first_other_text))
                  << "'\n";
    return std::move(trace.lines);
}

std::int64_t guest_offset(const TraceOptions& options,
                          const segment::Clock& clock)
{
    if (options.guest_trace.empty()) return 0;
    if (options.tsc_offset) return *options.tsc_offset;
    if (clock.guest_tsc_offset) return *clock.guest_tsc_offset;
    throw Failure{Exit::kCannotRun,
                  "--guest-trace: the VM does not say how its TSC differs from "
                  "the host's; give --tsc-offset"};
}

/// By errno, which is 0 where the stream did not say.
Failure cannot_write()
{
    const int code = errno;
    std::string why = "cannot write the trace";
    if (code != 0) why += std::string{": "} + std::strerror(code);
    return Failure{Exit::kCannotRun, why};
}

/// Until one of the limits, a reader of ours that goes, the end of the VM, or a
/// signal.
std::uint64_t follow(const TraceOptions& options, const Limits& limits,
                     const OpenVm& vm, TraceReader& reader,
                     std::optional<TraceLease>& lease,
                     const Selection& selection, Timeline& timeline,
                     Merger& merger, Output& output, std::ostream& out)
{
    using Clock = std::chrono::steady_clock;
    const auto end = limits.duration ? Clock::now() + *limits.duration
                                     : Clock::time_point::max();
    std::uint64_t shown = 0;
    std::uint64_t all_lost = 0;
    auto clock_due = Clock::now() + kClockSample;
    for (bool last = false;;) {
        if (Clock::now() >= clock_due) {
            timeline.add(vm.segment().clock());
            clock_due = Clock::now() + kClockSample;
        }
        if (lease && !lease->keep())
            std::cerr << "ipidefer: this stood still for so long that the VM "
                         "was not traced for a while\n";
        std::uint64_t lost = 0;
        const auto events = reader.read(lost);
        if (lost != 0) output.lost(lost);
        all_lost += lost;
        errno = 0;
        for (const trace::Event& event : events) {
            if (!selection.matches(event)) continue;
            merger.event(event);
            if (++shown == limits.count) return all_lost;
        }
        // At once, for who reads along. If nobody does, as behind `head`, the
        // end is an orderly one.
        if (!events.empty() && !out.flush()) {
            if (errno == EPIPE) return all_lost;
            throw cannot_write();
        }
        vm.check();
        if (!events.empty() && options.buffered) continue;
        if (last || options.buffered) return all_lost;
        // Once more after the end, for what came before it.
        last = interrupted() || Clock::now() >= end ||
               vm.life() == segment::Life::kEnded ||
               vm.life() == segment::Life::kGone;
        if (!last) std::this_thread::sleep_for(kPoll);
    }
}

int run_trace(const TraceOptions& options, const segment::Place& place)
{
    check_together(options);
    const Limits limits = check_limits(options);
    const bool writable = !options.read_only && !options.buffered;
    OpenVm vm{place, options.vm, writable};
    const segment::Segment& segment = vm.segment();
    if (segment.ring_entries() == 0)
        throw Failure{Exit::kNotPossible,
                      "VM '" + vm.label() + "' has no trace ring"};
    const Selection selection{options.selectors, segment.vcpus()};
    const segment::Clock clock = segment.clock();

    std::ofstream file;
    if (!options.output.empty()) {
        file.open(options.output, std::ios::binary);
        if (!file)
            throw Failure{Exit::kCannotRun,
                          "--output: cannot write '" + options.output + "'"};
    }
    std::ostream& out = options.output.empty() ? std::cout : file;
    const auto output = make_output(format_of(options), out, vm.label());
    Timeline timeline{clock};
    Merger merger{*output, timeline, guest_lines(options),
                  guest_offset(options, clock)};

    // From here on signals end the trace in order, and so does a reader of our
    // output that goes.
    (void)interrupted();
    (void)std::signal(SIGPIPE, SIG_IGN);
    TraceReader reader{segment, options.buffered || options.backlog
                                    ? TraceReader::From::kOldest
                                    : TraceReader::From::kNow};
    std::optional<TraceLease> lease;
    if (writable) lease.emplace(vm, selection.kinds());
    const std::uint64_t lost =
        follow(options, limits, vm, reader, lease, selection, timeline, merger,
               *output, out);
    lease.reset();
    if (out) {
        errno = 0;
        merger.rest();
        if (!out.flush() && errno != EPIPE) throw cannot_write();
    }
    if (lost != 0) std::cerr << "ipidefer: " << lost << " events were lost\n";
    return static_cast<int>(Exit::kDone);
}

/// CLI11 keeps the values of an option together; -f belongs to the -e before.
std::vector<Selector> in_order(const CLI::App& app, const CLI::Option* event,
                               const CLI::Option* filter)
{
    std::vector<Selector> selectors;
    std::size_t events = 0;
    std::size_t filters = 0;
    for (const CLI::Option* option : app.parse_order())
        if (option == event)
            selectors.push_back({false, event->results().at(events++)});
        else if (option == filter)
            selectors.push_back({true, filter->results().at(filters++)});
    return selectors;
}

}  // namespace

Run add_trace(CLI::App& app, const segment::Place& place)
{
    auto* command =
        app.add_subcommand("trace", "IPIs and verdicts, one by one");
    const auto options = std::make_shared<TraceOptions>();
    command->add_option("vm", options->vm, "VM")->required();
    // One value each, or the VM's name would be one more.
    const auto* event = command
                            ->add_option("-e,--event",
                                         "ipi_send or ipi_verdict; repeatable "
                                         "(default: both)")
                            ->expected(1)
                            ->take_all();
    const auto* filter =
        command
            ->add_option("-f,--filter",
                         "show what matches, of the event before it; "
                         "repeatable")
            ->expected(1)
            ->take_all();
    command
        ->add_option("--format", options->format,
                     "text, json or perfetto (default: text)")
        ->check(CLI::IsMember({"text", "json", "perfetto"}));
    command->add_flag("--json", options->json, "the same as --format json");
    command->add_option("-o,--output", options->output, "write to this file");
    command->add_option("--duration", options->duration,
                        "end after this time, as in 10s");
    command->add_option("--count", options->count, "end after so many events");
    command->add_flag("--buffered", options->buffered,
                      "show what the VM's ring holds, switch nothing on, end");
    command->add_flag("--backlog", options->backlog,
                      "begin with what the VM's ring holds");
    command->add_flag("--read-only", options->read_only,
                      "switch nothing on: somebody else has");
    command->add_option("--guest-trace", options->guest_trace,
                        "merge this trace of a guest (clock x86-tsc): text, or "
                        "trace-cmd's trace.dat");
    command->add_option("--tsc-offset", options->tsc_offset,
                        "guest's TSC minus host's (default: what the VM says)");
    command->footer(
        "Fields: ipi_send: ts sender CPU cpumask vector delivery shorthand "
        "dest_mode dest\n"
        "        ipi_verdict: ts sender CPU cpu vector delivery verdict reason "
        "context word\n"
        "Filters: == != < <= > >= & ~ && || ! ( ) CPUS{2-3}, as the "
        "kernel's.\n\n"
        "Examples:\n"
        "  ipidefer trace web1 -e ipi_send -f 'cpumask & CPUS{2-3}'\n"
        "  ipidefer trace web1 -e ipi_verdict \\\n"
        "      -f 'verdict == delivered && cpu & CPUS{2}' --duration 10s\n"
        "  ipidefer trace web1 --format perfetto -o web1.pftrace\n\n"
        "Lost events are reported. Exit status: 0 done, 1 could not run,\n"
        "77 the VM has no trace ring.");
    return [options, &place, command, event, filter] {
        options->selectors = in_order(*command, event, filter);
        return run_trace(*options, place);
    };
}

}  // namespace ipidefer::cli
