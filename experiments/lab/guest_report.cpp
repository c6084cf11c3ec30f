// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/guest_report.hpp"

#include <algorithm>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::lab {
namespace {

[[noreturn]] void refuse(const std::string& what, std::string_view line)
{
    throw Failure{Exit::kCannotRun, "the guest's " + what +
                                        " has a line that the lab does not "
                                        "understand: '" +
                                        std::string{line} + "'"};
}

template <typename Number>
Number number_in(const std::string& what, std::string_view line,
                 std::string_view word, int base = 10)
{
    const auto value = number_of<Number>(word, base);
    if (!value) refuse(what, line);
    return *value;
}

// "[ffffffff810a0b20] do_sync_core" without the address.
std::string symbol_name(std::string_view value)
{
    if (value.starts_with('['))
        if (const auto end = value.find(']'); end != std::string_view::npos)
            value.remove_prefix(end + 1);
    return std::string{trimmed(value)};
}

}  // namespace

GuestStats parse_stats(std::string_view text)
{
    static const std::string kWhat = "ipi_defer statistics";
    GuestStats stats;
    const auto lines = lines_of(text);
    if (lines.size() < 3 || lines[0] != "version 1")
        refuse(kWhat, lines.empty() ? "" : lines[0]);
    const auto mode = words_of(lines[1]);
    if (mode.size() != 2 || mode[0] != "mode") refuse(kWhat, lines[1]);
    stats.mode = mode[1];
    if (lines[2] !=
        "cpu work requested suppressed delivered flushed done seq state")
        refuse(kWhat, lines[2]);
    for (std::size_t i = 3; i < lines.size(); ++i) {
        const auto line = lines[i];
        const auto word = words_of(line);
        if (word.size() != 9) refuse(kWhat, line);
        const auto u64 = [&](std::size_t at) {
            return number_in<std::uint64_t>(kWhat, line, word[at]);
        };
        const std::string work{word[1]};
        WorkStats row;
        row.requested = u64(2);
        row.suppressed = number_in<std::int64_t>(kWhat, line, word[3]);
        row.delivered = u64(4);
        row.flushed = u64(5);
        row.done = u64(6);
        row.seq = u64(7);
        row.state = number_in<std::uint32_t>(kWhat, line, word[8], 0);
        const auto cpu = number_in<unsigned>(kWhat, line, word[0]);
        if (!stats.rows.emplace(std::pair{cpu, work}, row).second)
            refuse(kWhat, line);
        if (std::ranges::find(stats.works, work) == stats.works.end())
            stats.works.push_back(work);
    }
    return stats;
}

std::uint64_t parse_resent(std::string_view text)
{
    const auto lines = lines_of(text);
    const auto line = lines.empty() ? std::string_view{} : lines.front();
    return number_in<std::uint64_t>("count of IPIs sent again", line, line);
}

Interrupts parse_interrupts(std::string_view text)
{
    static const std::string kWhat = "/proc/interrupts";
    Interrupts interrupts;
    const auto lines = lines_of(text);
    if (lines.empty()) refuse(kWhat, "");
    std::vector<unsigned> cpus;
    for (const auto column : words_of(lines[0])) {
        if (!column.starts_with("CPU")) refuse(kWhat, lines[0]);
        cpus.push_back(number_in<unsigned>(kWhat, lines[0], column.substr(3)));
    }
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const auto words = words_of(lines[i]);
        if (words.empty()) continue;
        if (!words[0].ends_with(':')) refuse(kWhat, lines[i]);
        // ERR and MIS have one number for the machine.
        if (words.size() < cpus.size() + 1) continue;
        Interrupts::Row row;
        for (std::size_t c = 0; c < cpus.size(); ++c)
            row.taken[cpus[c]] =
                number_in<std::uint64_t>(kWhat, lines[i], words[c + 1]);
        for (std::size_t w = cpus.size() + 1; w < words.size(); ++w)
            row.description.append(row.description.empty() ? "" : " ")
                .append(words[w]);
        interrupts.rows[std::string{words[0].substr(0, words[0].size() - 1)}] =
            std::move(row);
    }
    return interrupts;
}

Histogram parse_histogram(std::string_view text)
{
    static const std::string kWhat = "event histogram";
    Histogram histogram;
    for (const auto line : lines_of(text)) {
        if (line.starts_with("{ ")) {
            // { field: value, field: value } hitcount:  n
            const auto close = line.rfind("} hitcount:");
            if (close == std::string_view::npos) refuse(kWhat, line);
            Histogram::Entry entry;
            auto keys = line.substr(2, close - 2);
            while (!keys.empty()) {
                // Names of symbols contain no comma, nor do numbers.
                const auto comma = keys.find(',');
                const auto key = keys.substr(0, comma);
                const auto colon = key.find(':');
                if (colon == std::string_view::npos) refuse(kWhat, line);
                entry.keys[std::string{trimmed(key.substr(0, colon))}] =
                    symbol_name(trimmed(key.substr(colon + 1)));
                keys.remove_prefix(comma == std::string_view::npos ? keys.size()
                                                                   : comma + 1);
            }
            entry.hits = number_in<std::uint64_t>(
                kWhat, line, trimmed(line.substr(line.rfind(':') + 1)));
            histogram.entries.push_back(std::move(entry));
        } else if (const auto words = words_of(line);
                   words.size() == 2 && words[0] == "Dropped:") {
            histogram.dropped = number_in<std::uint64_t>(kWhat, line, words[1]);
        }
    }
    return histogram;
}

}  // namespace ipidefer::lab
