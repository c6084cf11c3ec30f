// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/guest_trace.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::trace {
namespace {

/// Where ftrace and trace-cmd put the "-" between a task's name and its pid.
constexpr std::size_t kDashColumn = 16;
/// Of a task's name.
constexpr std::size_t kLongestName = 15;
/// Far above what any kernel has.
constexpr std::uint32_t kMostCpus = 65'536;
/// What is shown of a line that is nothing.
constexpr std::size_t kMostShown = 80;

constexpr std::string_view kDigits = "0123456789";

/// One way to read a line as an event.
struct Reading {
    std::size_t dash;  // column
    std::string_view task;
    std::uint32_t cpu;
    std::string_view time;  // without its colon
    std::string_view event;
};

/// "(123)" or "(-------)", the thread group's number, if it is recorded.
std::string_view without_group(std::string_view text)
{
    if (!text.ends_with(')')) return text;
    const auto open = text.rfind('(');
    if (open == std::string_view::npos) return text;
    const auto inner = text.substr(open + 1, text.size() - open - 2);
    if (inner.find_first_not_of(" -0123456789") != std::string_view::npos)
        return text;
    return trimmed(text.substr(0, open));
}

bool is_time(std::string_view text)
{
    const auto point = text.find('.');
    const auto whole = text.substr(0, point);
    return !whole.empty() &&
           whole.find_first_not_of(kDigits) == std::string_view::npos &&
           (point == std::string_view::npos ||
            text.find_first_not_of(kDigits, point + 1) ==
                std::string_view::npos);
}

/// With the CPU in the bracket at `open`.
std::optional<Reading> read_at(std::string_view line, std::size_t open)
{
    const auto close = line.find(']', open);
    if (close == std::string_view::npos) return std::nullopt;
    const auto cpu =
        number_of<std::uint32_t>(line.substr(open + 1, close - open - 1));
    if (!cpu || *cpu >= kMostCpus) return std::nullopt;
    const std::string_view task = without_group(trimmed(line.substr(0, open)));
    const auto dash = task.find_last_not_of(kDigits);
    if (dash == std::string_view::npos || dash == 0 || task[dash] != '-' ||
        dash + 1 == task.size())
        return std::nullopt;
    std::string_view rest = trimmed(line.substr(close + 1));
    // One word of flags at most comes before the time; trace-cmd writes none.
    for (int i = 0; i < 2; ++i) {
        const auto end = rest.find(' ');
        if (end == std::string_view::npos) return std::nullopt;
        std::string_view word = rest.substr(0, end);
        rest = trimmed(rest.substr(end));
        if (!word.ends_with(':')) continue;
        word.remove_suffix(1);
        if (!is_time(word) || rest.empty()) return std::nullopt;
        return Reading{
            static_cast<std::size_t>(task.data() - line.data()) + dash, task,
            *cpu, word, rest};
    }
    return std::nullopt;
}

/// A name, or what follows the time, may look like an event too: then the one
/// counts whose "-" is in its column, or whose name is short enough; if that
/// does not decide, none.
std::optional<Reading> parse(std::string_view line)
{
    std::optional<Reading> found;
    std::size_t short_names = 0;
    for (auto open = line.find(" ["); open != std::string_view::npos;
         open = line.find(" [", open + 1)) {
        const auto reading = read_at(line, open + 1);
        if (!reading) continue;
        if (reading->dash == kDashColumn) return reading;
        const auto name = reading->task.substr(0, reading->task.rfind('-'));
        if (name.size() > kLongestName) continue;
        ++short_names;
        found = reading;
    }
    return short_names == 1 ? found : std::nullopt;
}

/// "CPU:1 [LOST 12 EVENTS]" of ftrace, "CPU:1 [12 EVENTS DROPPED]" of
/// trace-cmd; either may lack the number.
struct Lost {
    std::uint32_t cpu;
    std::uint64_t count;  // 0: it does not say
    std::string_view text;
};
std::optional<Lost> parse_lost(std::string_view line)
{
    line = trimmed(line);
    if (!line.starts_with("CPU:") || !line.ends_with(']')) return std::nullopt;
    const auto open = line.find(" [");
    if (open == std::string_view::npos) return std::nullopt;
    const auto cpu = number_of<std::uint32_t>(line.substr(4, open - 4));
    const std::string_view text = line.substr(open + 1);
    if (!cpu || *cpu >= kMostCpus) return std::nullopt;
    std::uint64_t count = 0;
    bool lost = false;
    for (const std::string_view word :
         words_of(text.substr(1, text.size() - 2))) {
        lost = lost || word == "LOST" || word == "DROPPED";
        count = number_of<std::uint64_t>(word).value_or(count);
    }
    if (!lost) return std::nullopt;
    return Lost{*cpu, count, text};
}

/// The next line without its end; false at the end.
bool next_line(std::istream& in, std::string& line, std::uint64_t number)
{
    line.clear();
    for (int c = in.get(); c != std::istream::traits_type::eof();
         c = in.get()) {
        if (c == '\n') return true;
        if (line.size() == kLongestGuestLine)
            throw Failure{Exit::kCannotRun,
                          "the guest's trace: line " + std::to_string(number) +
                              " has more than " +
                              std::to_string(kLongestGuestLine) +
                              " bytes, which is the limit"};
        line += static_cast<char>(c);
    }
    return !line.empty();
}

class Reader {
  public:
    void line(std::string_view line, std::uint64_t number)
    {
        if (trimmed(line).empty()) return;
        if (line.starts_with('#')) return comment(line);
        if (const auto reading = parse(line))
            return event(*reading, line, number);
        if (const auto lost = parse_lost(line)) return this->lost(*lost);
        // trace-cmd's first line, and what ftrace says of rings without events.
        if (line.starts_with("cpus=") || is_empty_ring(line)) return;
        if (const auto frame = trimmed(line);
            frame.starts_with("=>") && after_event_) {
            trace_.lines.back().event += ' ';
            trace_.lines.back().event += frame;
            return;
        }
        other(line, number);
    }

    GuestTrace end()
    {
        pending_to(trace_.lines.empty() ? 0 : trace_.lines.back().tsc);
        std::ranges::stable_sort(trace_.lines, {}, &GuestLine::tsc);
        return std::move(trace_);
    }

  private:
    static bool is_empty_ring(std::string_view line)
    {
        return line.starts_with("CPU ") && trimmed(line).ends_with(" is empty");
    }

    static void comment(std::string_view line)
    {
        if (line.find("latency trace v") == std::string_view::npos) return;
        throw Failure{
            Exit::kCannotRun,
            "the guest's trace is in latency-format, which has no place for "
            "the TSC: switch it off, echo 0 > "
            "/sys/kernel/tracing/options/latency-format, and read the trace "
            "again"};
    }

    void event(const Reading& reading, std::string_view line,
               std::uint64_t number)
    {
        if (reading.time.find('.') != std::string_view::npos)
            throw Failure{Exit::kCannotRun,
                          "the guest's trace has times in seconds, as in '" +
                              printable(line.substr(0, kMostShown)) + "'" +
                              guest_trace_remedy()};
        const auto tsc = number_of<std::uint64_t>(reading.time);
        if (!tsc) return other(line, number);
        pending_to(*tsc);
        add({*tsc, reading.cpu, std::string{reading.task},
             std::string{reading.event}});
        after_event_ = true;
    }

    void lost(const Lost& lost)
    {
        trace_.lost += lost.count;
        // It has no time: that of the event behind it will do.
        pending_.push_back({0, lost.cpu, "", std::string{lost.text}});
        after_event_ = false;
    }

    void pending_to(std::uint64_t tsc)
    {
        for (GuestLine& line : pending_) {
            line.tsc = tsc;
            add(std::move(line));
        }
        pending_.clear();
    }

    void add(GuestLine line)
    {
        if (trace_.lines.size() == kMostGuestLines)
            throw Failure{Exit::kCannotRun,
                          "the guest's trace has more than " +
                              std::to_string(kMostGuestLines) +
                              " events, which is the limit: record less, or "
                              "cut it (trace-cmd split)"};
        trace_.lines.push_back(std::move(line));
    }

    void other(std::string_view line, std::uint64_t number)
    {
        after_event_ = false;
        if (trace_.others++ != 0) return;
        trace_.first_other = number;
        trace_.first_other_text = line.substr(0, kMostShown);
    }

    GuestTrace trace_;
    std::vector<GuestLine> pending_;
    bool after_event_ = false;
};

}  // namespace

std::string guest_trace_remedy()
{
    return ": record it with the TSC as its clock: trace-cmd record -C "
           "x86-tsc, "
           "or echo x86-tsc > /sys/kernel/tracing/trace_clock";
}

GuestTrace read_guest_trace(std::istream& in)
{
    Reader reader;
    std::string line;
    for (std::uint64_t number = 1; next_line(in, line, number); ++number)
        reader.line(line, number);
    return reader.end();
}

}  // namespace ipidefer::trace
