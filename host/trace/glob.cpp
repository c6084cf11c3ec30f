// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/glob.hpp"

#include <cctype>
#include <cstddef>

namespace ipidefer::trace {
namespace {

/// What one element of a pattern, which is no star, says to one character.
struct Step {
    bool matches;
    std::size_t next;  // where the next element begins
};

unsigned byte(char c) noexcept { return static_cast<unsigned char>(c); }

Step literal(std::string_view pattern, std::size_t at, char c) noexcept
{
    return {pattern[at] == c, at + 1};
}

/// The set that begins behind the [ at `at`.
Step set(std::string_view pattern, std::size_t at, char c) noexcept
{
    std::size_t i = at + 1;
    const bool inverted = i < pattern.size() && pattern[i] == '!';
    if (inverted) ++i;
    bool in = false;
    for (const std::size_t first = i; i < pattern.size(); ++i) {
        if (pattern[i] == ']' && i != first) return {in != inverted, i + 1};
        const unsigned low = byte(pattern[i]);
        unsigned high = low;
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' &&
            pattern[i + 2] != ']') {
            high = byte(pattern[i + 2]);
            i += 2;
        }
        in = in || (low <= byte(c) && byte(c) <= high);
    }
    return literal(pattern, at, c);
}

Step step(std::string_view pattern, std::size_t at, char c) noexcept
{
    switch (pattern[at]) {
        case '?':
            return {true, at + 1};
        case '[':
            return set(pattern, at, c);
        case '\\':
            // At the end there is nothing that it could stand for.
            if (at + 1 == pattern.size()) return {false, at + 1};
            return literal(pattern, at + 1, c);
        default:
            return literal(pattern, at, c);
    }
}

/// A star takes as little as possible, and one character more whenever the rest
/// does not fit; only the last star that was met has to be tried again.
bool matches(std::string_view pattern, std::string_view text) noexcept
{
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t after_star = std::string_view::npos;
    std::size_t star_until = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            after_star = ++p;
            star_until = t;
            continue;
        }
        if (p < pattern.size()) {
            const Step one = step(pattern, p, text[t]);
            if (one.matches) {
                p = one.next;
                ++t;
                continue;
            }
        }
        if (after_star == std::string_view::npos) return false;
        p = after_star;
        t = ++star_until;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text) noexcept
{
    const bool inverted = pattern.starts_with('!');
    if (inverted) pattern.remove_prefix(1);
    const bool plain = !pattern.empty() && std::isdigit(byte(pattern[0])) != 0;
    return (plain ? pattern == text : matches(pattern, text)) != inverted;
}

}  // namespace ipidefer::trace
