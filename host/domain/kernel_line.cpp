// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/kernel_line.hpp"

#include <algorithm>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::domain {
namespace {

struct Word {
    std::size_t begin;
    std::size_t end;
};

/// Those of the kernel: up to "--".
std::vector<Word> words(std::string_view line)
{
    std::vector<Word> all;
    std::size_t at = 0;
    for (;;) {
        at = line.find_first_not_of(kBlank, at);
        if (at == std::string_view::npos) return all;
        Word word{at, at};
        bool quoted = false;
        while (at < line.size() &&
               (quoted || kBlank.find(line[at]) == std::string_view::npos))
            if (line[at++] == '"') quoted = !quoted;
        word.end = at;
        if (line.substr(word.begin, word.end - word.begin) == "--") return all;
        all.push_back(word);
    }
}

std::string unquoted(std::string_view text)
{
    std::string result{text};
    std::erase(result, '"');
    return result;
}

bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The kernel takes - and _ in names for the same.
std::string name_of(std::string_view parameter)
{
    std::string name = unquoted(parameter.substr(0, parameter.find('=')));
    std::ranges::replace(name, '-', '_');
    return name;
}

}  // namespace

std::optional<std::string> kernel_parameter(std::string_view line,
                                            std::string_view name)
{
    std::optional<std::string> value;
    for (const auto& [begin, end] : words(line)) {
        const auto word = line.substr(begin, end - begin);
        if (name_of(word) != name) continue;
        const auto equals = word.find('=');
        value = equals == std::string_view::npos
                    ? std::string{}
                    : unquoted(word.substr(equals + 1));
    }
    return value;
}

std::optional<CpuSet> kernel_cpus(std::string_view line, std::string_view name,
                                  unsigned count)
{
    auto value = kernel_parameter(line, name);
    if (!value) return std::nullopt;
    std::string_view list{*value};
    // isolcpus=domain,managed_irq,2-3: what begins with a letter is a flag to
    // it, "all" and "N" as well.
    while (name == "isolcpus" && !list.empty() && is_letter(list[0])) {
        const auto comma = list.find(',');
        if (comma == std::string_view::npos) return std::nullopt;
        list.remove_prefix(comma + 1);
    }
    try {
        return parse_kernel_cpulist(list, count);
    } catch (const Failure&) {
        return std::nullopt;
    }
}

std::string with_parameters(std::string_view line,
                            const std::vector<std::string>& parameters)
{
    auto all = words(line);
    // A quote that nobody closes reaches to the end: what stood behind it would
    // be part of that word.
    if (!all.empty() &&
        std::ranges::count(
            line.substr(all.back().begin, all.back().end - all.back().begin),
            '"') %
                2 !=
            0)
        all.pop_back();
    const std::size_t at = all.empty() ? 0 : all.back().end;
    std::string more;
    for (const std::string& parameter : parameters) {
        if (at != 0 || !more.empty()) more += ' ';
        more += parameter;
    }
    std::string result{line.substr(0, at)};
    result += more;
    const auto rest = line.substr(at);
    if (at == 0 && !more.empty() && !rest.empty() &&
        kBlank.find(rest.front()) == std::string_view::npos)
        result += ' ';  // only "-- ..." is there
    return result.append(rest);
}

std::string without_parameter(std::string_view line, std::string_view name)
{
    std::string result;
    std::size_t kept = 0;
    for (const auto& [begin, end] : words(line)) {
        if (name_of(line.substr(begin, end - begin)) != name) continue;
        result += line.substr(kept, begin - kept);
        kept = line.find_first_not_of(kBlank, end);
        if (kept == std::string_view::npos) {
            kept = line.size();
            while (!result.empty() && result.back() == ' ') result.pop_back();
        }
    }
    return result.append(line.substr(kept));
}

}  // namespace ipidefer::domain
