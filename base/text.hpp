// SPDX-License-Identifier: GPL-2.0-or-later
// Lines, words and numbers of text that others wrote.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ipidefer {

/// What is between words.
inline constexpr std::string_view kBlank = " \t\r\n";

[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// What others wrote, for a terminal or a log: control characters as \\xNN.
[[nodiscard]] std::string printable(std::string_view text);

/// The whole of `text` as a number; a base of 0 means: hexadecimal after 0x.
template <typename Number>
[[nodiscard]] std::optional<Number> number_of(std::string_view text,
                                              int base = 10)
{
    if (base == 0) {
        base = text.starts_with("0x") ? 16 : 10;
        if (base == 16) text.remove_prefix(2);
    }
    Number value{};
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value, base);
    if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
    return value;
}

}  // namespace ipidefer
