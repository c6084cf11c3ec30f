// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer blame: who takes a VM's vCPUs out of the guest, and for how long.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "base/json_writer.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "host/cli/blame_target.hpp"
#include "host/cli/blame_watch.hpp"
#include "host/cli/command.hpp"
#include "host/cli/screen.hpp"

namespace ipidefer::cli {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kBetweenReads = 100ms;
constexpr const char* kDuration = "10s";
constexpr const char* kInterval = "2s";

struct BlameOptions {
    BlameTarget target;
    BlameWatch::Options watch;
    std::string duration;  // empty: kDuration, or with --live no end
    std::string interval;  // empty: kInterval
    bool sum = false;
    bool live = false;
    bool json = false;
};

blame::Blame grouped(blame::Blame found, bool sum)
{
    return sum ? as_one(std::move(found)) : std::move(found);
}

/// To the moment, but no longer than until there is something to read.
std::chrono::milliseconds until(Clock::time_point moment)
{
    return std::clamp(
        std::chrono::ceil<std::chrono::milliseconds>(moment - Clock::now()),
        0ms, std::chrono::milliseconds{kBetweenReads});
}

/// Until the time is over, with what is left of it on standard error.
void wait(BlameWatch& watch, Clock::time_point end)
{
    const bool shown = ::isatty(STDERR_FILENO) != 0;
    while (!interrupted() && Clock::now() < end) {
        std::this_thread::sleep_for(until(end));
        watch.read();
        if (shown)
            std::cerr << fmt::format(
                "\r\033[Kblame: {:.0f} s left, {} events",
                std::chrono::duration<double>(end - Clock::now()).count(),
                watch.events());
    }
    if (shown) std::cerr << "\r\033[K";
}

/// Shows each interval until the end, if there is one: on the terminal, or
/// where there is none as one table below the other.
class Live {
  public:
    Live(BlameWatch& watch, const BlameOptions& options,
         std::chrono::milliseconds interval)
        : watch_{watch}, interval_{interval}, sum_{options.sum}
    {
    }

    void run(std::optional<Clock::time_point> end)
    {
        auto next = Clock::now() + interval_;
        if (screen_ != nullptr) draw();
        while (!interrupted() && !(end && Clock::now() >= *end)) {
            const int key = pause(until(end ? std::min(next, *end) : next));
            watch_.read();
            if (key == 'q') break;
            if (key == 't') all_ = !all_;
            if (key == 's') sum_ = !sum_;
            const bool over = Clock::now() >= next;
            if (over) {
                part_ = watch_.part();
                // One that its terminal had stopped does not catch up.
                next = std::max(next + interval_, Clock::now());
            }
            if (screen_ == nullptr && over)
                std::cout << table(grouped(part_, sum_)) << '\n' << std::flush;
            if (screen_ != nullptr && (over || key != Screen::kNoKey)) draw();
        }
    }

  private:
    int pause(std::chrono::milliseconds time)
    {
        if (screen_ != nullptr) return screen_->key(time);
        std::this_thread::sleep_for(time);
        return Screen::kNoKey;
    }

    void draw()
    {
        std::vector<std::string> lines{
            fmt::format("q: end   s: {}   t: {}   every {}",
                        sum_ ? "each vCPU by itself" : "vCPUs as one",
                        all_ ? "the last interval" : "since the start",
                        format_duration(interval_))};
        const std::string text =
            table(grouped(all_ ? watch_.whole() : part_, sum_));
        for (const std::string_view line : lines_of(text))
            lines.emplace_back(line);
        screen_->show(lines);
    }

    BlameWatch& watch_;
    std::chrono::milliseconds interval_;
    std::unique_ptr<Screen> screen_ = Screen::open();
    bool sum_;
    bool all_ = false;  // since the start
    blame::Blame part_;
};

int run_blame(BlameOptions options, const segment::Place& place)
{
    if (options.live && options.json)
        refuse_option("--json", "--live shows tables; it is one or the other");
    if (!options.live && !options.interval.empty())
        refuse_option("--interval", options.interval + " needs --live");
    const auto interval = parse_refresh(
        "--interval", options.interval.empty() ? kInterval : options.interval);
    std::optional<std::chrono::nanoseconds> duration;
    if (!options.duration.empty() || !options.live)
        duration = named_option("--duration", [&] {
            const auto parsed = parse_duration(
                options.duration.empty() ? kDuration : options.duration);
            if (parsed <= 0ns)
                throw Failure{Exit::kCannotRun, "nothing comes in no time"};
            return parsed;
        });
    options.watch.pid = process_of(options.target, place);
    static_cast<void>(interrupted());

    BlameWatch watch{options.watch};
    std::optional<Clock::time_point> end;
    if (duration) end = Clock::now() + *duration;
    if (options.live)
        Live{watch, options, interval}.run(end);
    else
        wait(watch, *end);
    watch.stop();
    static_cast<void>(watch.part());
    const auto found = grouped(watch.whole(), options.sum);
    if (options.json)
        std::cout << json_text(to_json(found), 2) << '\n';
    else
        std::cout << table(found) << remedies(found);
    return static_cast<int>(Exit::kDone);
}

}  // namespace

Run add_blame(CLI::App& app, const segment::Place& place)
{
    auto options = std::make_shared<BlameOptions>();
    auto* command = app.add_subcommand(
        "blame",
        "attribute each time that a vCPU is out of its guest to a cause");
    add_target_options(*command, options->target);
    command->add_option("--vcpus", options->watch.vcpus,
                        "vCPUs to show, as in 2-3 (default: all)");
    command->add_flag("-s,--sum", options->sum,
                      "these as one, and not each by itself");
    command->add_flag("--stacks", options->watch.stacks,
                      "for interrupts of the host also who sent them: the "
                      "kernel's stacks, by count; costs whoever sends");
    command->add_option(
        "--duration", options->duration,
        "how long, as in 60s; SIGINT ends it earlier (default: 10s, or with "
        "--live until then)");
    command->add_flag("--live", options->live,
                      "a table for each interval, on the terminal if there is "
                      "one, before the summary");
    command->add_option("--interval", options->interval,
                        "with --live: between two tables (default: 2s)");
    command->add_flag("--json", options->json, "print JSON");
    command->footer(
        "Exactly one of VM, --domain and --pid says whose vCPUs. Each exit has "
        "one\ncause: what the guest did, or what was seen first of an "
        "interrupt; \"also\" counts\nwhat came while the vCPU was away for "
        "another cause.\n\n"
        "Keys of --live: q ends, s shows vCPUs as one or each, t the last "
        "interval or all.\n"
        "Examples:\n"
        "  ipidefer blame web1 --vcpus 2-3\n"
        "  ipidefer blame --domain web1 --live --stacks\n"
        "  ipidefer blame --pid 4711 --duration 60s --json\n\n"
        "Exit status: 0 done, 1 could not run,\n"
        "77 there is no tracefs, KVM has no trace events, or libvirt is not "
        "there.");
    return [options, &place] { return run_blame(*options, place); };
}

}  // namespace ipidefer::cli
