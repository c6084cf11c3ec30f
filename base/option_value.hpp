// SPDX-License-Identifier: GPL-2.0-or-later
// Option values: what several of our command lines and configurations take, and
// how they refuse a value: "--mem: '1M' is not within 2M and 3G".
#pragma once

#include <cstdint>
#include <string>

#include "base/failure.hpp"

namespace ipidefer {

/// Throws Failure: "OPTION: why".
[[noreturn]] void refuse_option(const std::string& option,
                                const std::string& why);

[[nodiscard]] std::string in_quotes(const std::string& text);

/// "on" or "off". Throws Failure.
[[nodiscard]] bool parse_switch(const std::string& option,
                                const std::string& text);
[[nodiscard]] const char* on_off(bool on) noexcept;

/// Longest --timeout, in seconds.
inline constexpr unsigned kLongestTimeout = 24 * 3600;

/// @return the value, which is within the limits
/// @param unit behind the numbers, with a space in front. Throws Failure.
unsigned check_within(const std::string& option, unsigned value, unsigned least,
                      unsigned most, const std::string& unit = {});

/// Memory as in 512M or 2G. Throws Failure, also for what is not within the
/// limits.
/// @return MiB, as are the limits
[[nodiscard]] std::uint64_t parse_memory(const std::string& option,
                                         const std::string& text,
                                         std::uint64_t least_mib,
                                         std::uint64_t most_mib);

/// A file that is to be written; empty is none, and - standard output. Throws
/// Failure where that cannot be, before there is anything to write.
void check_output(const std::string& option, const std::string& file);

/// What `read` makes of a value, with the option's name in front of failures.
template <class Read>
auto named_option(const std::string& option, Read read)
{
    try {
        return read();
    } catch (const Failure& failure) {
        refuse_option(option, failure.what());
    }
}

}  // namespace ipidefer
