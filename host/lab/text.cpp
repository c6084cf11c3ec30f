// SPDX-License-Identifier: GPL-2.0-or-later
#include "text.hpp"

namespace ipidefer::lab {
namespace {

constexpr std::string_view kBlank = " \t\r";

}  // namespace

std::vector<std::string_view> lines_of(std::string_view text)
{
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        lines.push_back(text.substr(0, end));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return lines;
}

std::vector<std::string_view> words_of(std::string_view line)
{
    std::vector<std::string_view> words;
    for (;;) {
        const auto begin = line.find_first_not_of(kBlank);
        if (begin == std::string_view::npos) return words;
        line.remove_prefix(begin);
        const auto end = line.find_first_of(kBlank);
        words.push_back(line.substr(0, end));
        if (end == std::string_view::npos) return words;
        line.remove_prefix(end);
    }
}

std::string_view trimmed(std::string_view text)
{
    const auto begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace ipidefer::lab
