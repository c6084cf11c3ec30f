// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest_trace.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "failure.hpp"
#include "text.hpp"

namespace ipidefer::trace {
namespace {

constexpr std::string_view kHelp =
    ": record it with the TSC as its clock: trace-cmd record -C x86-tsc, or "
    "echo x86-tsc > /sys/kernel/tracing/trace_clock";

/// "    bash-123  [001] d..1. 1234567: sched_switch: prev=..." ; the flags are
/// not there in what trace-cmd reports.
std::optional<GuestLine> parse(std::string_view line)
{
    // A task's name may contain brackets: ours is the first with a number.
    std::size_t open = 0;
    std::size_t close = 0;
    std::optional<std::uint32_t> cpu;
    for (; !cpu; ++open) {
        open = line.find(" [", open);
        close = open == std::string_view::npos ? open : line.find(']', open);
        if (close == std::string_view::npos) return std::nullopt;
        cpu = number_of<std::uint32_t>(line.substr(open + 2, close - open - 2));
    }
    const std::string_view task = trimmed(line.substr(0, open));
    if (task.empty()) return std::nullopt;
    std::string_view rest = trimmed(line.substr(close + 1));
    // One word of flags at most comes before the time.
    for (int i = 0; i < 2; ++i) {
        const auto end = rest.find(' ');
        std::string_view word = rest.substr(0, end);
        if (word.ends_with(':')) {
            word.remove_suffix(1);
            if (word.find('.') != std::string_view::npos &&
                number_of<std::uint64_t>(word.substr(0, word.find('.'))))
                throw Failure{Exit::kCannotRun,
                              "the guest's trace has times in seconds, as in "
                              "'" +
                                  printable(line) + "'" + std::string{kHelp}};
            const auto tsc = number_of<std::uint64_t>(word);
            if (!tsc || end == std::string_view::npos) return std::nullopt;
            return GuestLine{*tsc, *cpu, std::string{task},
                             std::string{trimmed(rest.substr(end))}};
        }
        if (end == std::string_view::npos) return std::nullopt;
        rest = trimmed(rest.substr(end));
    }
    return std::nullopt;
}

}  // namespace

std::vector<GuestLine> read_guest_trace(std::istream& in)
{
    std::vector<GuestLine> lines;
    std::string line;
    while (std::getline(in, line))
        if (!line.starts_with('#'))
            if (auto parsed = parse(line)) lines.push_back(std::move(*parsed));
    if (lines.empty())
        throw Failure{Exit::kCannotRun,
                      "the guest's trace has no line that is an event" +
                          std::string{kHelp}};
    std::ranges::stable_sort(lines, {}, &GuestLine::tsc);
    return lines;
}

}  // namespace ipidefer::trace
