// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/qemu_process.hpp"

#include <fstream>
#include <sstream>
#include <string_view>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::domain {
namespace {

namespace fs = std::filesystem;

std::string all_of(const fs::path& file)
{
    std::ostringstream text;
    text << std::ifstream{file, std::ios::binary}.rdbuf();
    return text.str();
}

/// Whether a process was started as this domain's: libvirt gives QEMU its name,
/// "guest=NAME,debug-threads=on", in which commas are doubled.
bool runs(const std::string& command_line, const std::string& name)
{
    std::string wanted = "guest=";
    for (const char byte : name)
        wanted += byte == ',' ? ",," : std::string{byte};
    std::istringstream arguments{command_line};
    for (std::string argument; std::getline(arguments, argument, '\0');) {
        if (!argument.starts_with(wanted)) continue;
        const std::string_view rest =
            std::string_view{argument}.substr(wanted.size());
        // Two commas are one of a longer name.
        if (rest.empty() || (rest[0] == ',' && !rest.starts_with(",,")))
            return true;
    }
    return false;
}

}  // namespace

fs::path pid_file(const std::string& name, const fs::path& folder)
{
    if (name.empty() || name.find('/') != std::string::npos)
        throw Failure{Exit::kCannotRun, "'" + printable(name) +
                                            "' is no domain's name: these "
                                            "have no / in them"};
    return folder / (name + ".pid");
}

std::optional<int> qemu_process(const std::string& name, const fs::path& folder,
                                const fs::path& proc)
{
    const fs::path file = pid_file(name, folder);
    const std::string shown = printable(file.string());
    std::error_code error;
    if (!fs::exists(file, error)) {
        if (error)
            throw Failure{Exit::kCannotRun,
                          "cannot look at " + shown + ": " + error.message()};
        return std::nullopt;
    }
    std::ifstream in{file};
    if (!in)
        throw Failure{Exit::kCannotRun,
                      "cannot read " + shown + ", which is root's"};
    std::string line;
    std::getline(in, line);
    const auto pid = number_of<int>(trimmed(line));
    if (!pid || *pid <= 0)
        throw Failure{Exit::kCannotRun,
                      shown + " says no PID, but '" + printable(line) + "'"};
    if (!runs(all_of(proc / std::to_string(*pid) / "cmdline"), name))
        throw Failure{Exit::kCannotRun, shown + " is a leftover: process " +
                                            std::to_string(*pid) +
                                            " is not the QEMU of domain '" +
                                            printable(name) + "'"};
    return pid;
}

}  // namespace ipidefer::domain
