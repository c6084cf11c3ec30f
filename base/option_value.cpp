// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/option_value.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "base/text.hpp"

namespace ipidefer {

void refuse_option(const std::string& option, const std::string& why)
{
    throw Failure{Exit::kCannotRun, option + ": " + why};
}

std::string in_quotes(const std::string& text)
{
    std::string quoted = "'";
    quoted += text;
    quoted += '\'';
    return quoted;
}

bool parse_switch(const std::string& option, const std::string& text)
{
    if (text == "on") return true;
    if (text == "off") return false;
    refuse_option(option, in_quotes(text) + " is neither on nor off");
}

const char* on_off(bool on) noexcept { return on ? "on" : "off"; }

unsigned check_within(const std::string& option, unsigned value, unsigned least,
                      unsigned most, const std::string& unit)
{
    if (value < least || value > most)
        refuse_option(option, std::to_string(value) + " is not within " +
                                  std::to_string(least) + " and " +
                                  std::to_string(most) + unit);
    return value;
}

std::uint64_t parse_memory(const std::string& option, const std::string& text,
                           std::uint64_t least_mib, std::uint64_t most_mib)
{
    constexpr std::uint64_t kGib = 1024;  // MiB
    const bool gigabytes = text.ends_with('G');
    const auto number =
        gigabytes || text.ends_with('M')
            ? number_of<std::uint64_t>(
                  std::string_view{text}.substr(0, text.size() - 1))
            : std::nullopt;
    if (!number)
        refuse_option(option, in_quotes(text) +
                                  " is not a number of megabytes or gigabytes, "
                                  "as in 512M or 2G");
    // Not multiplied before it is known to be small.
    const std::uint64_t unit = gigabytes ? kGib : 1;
    if (*number > most_mib / unit || *number * unit < least_mib) {
        const std::string most = most_mib % kGib == 0
                                     ? std::to_string(most_mib / kGib) + 'G'
                                     : std::to_string(most_mib) + 'M';
        refuse_option(option, in_quotes(text) + " is not within " +
                                  std::to_string(least_mib) + "M and " + most);
    }
    return *number * unit;
}

void check_output(const std::string& option, const std::string& file)
{
    namespace fs = std::filesystem;
    if (file.empty() || file == "-") return;
    const auto cannot = [&](const std::string& why) {
        refuse_option(option, in_quotes(file) + " cannot be written: " + why);
    };
    std::error_code error;
    if (fs::is_directory(file, error)) cannot("it is a folder");
    const fs::path folder = fs::path{file}.has_parent_path()
                                ? fs::path{file}.parent_path()
                                : fs::path{"."};
    if (!fs::is_directory(folder, error))
        cannot("there is no folder " + in_quotes(folder.string()));
    const fs::path changed = fs::exists(file, error) ? fs::path{file} : folder;
    if (::access(changed.c_str(), W_OK) != 0) cannot(std::strerror(errno));
}

}  // namespace ipidefer
