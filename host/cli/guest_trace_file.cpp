// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest_trace_file.hpp"

#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

#include "failure.hpp"
#include "program.hpp"
#include "text.hpp"

namespace ipidefer::cli {
namespace {

constexpr char kReader[] = "trace-cmd";
constexpr int kNotFound = 127;  // env(1)
constexpr std::size_t kMostSaid = 200;

/// trace-cmd.dat(5): how every trace.dat begins.
constexpr std::string_view kMagic{"\x17\x08\x44tracing", 10};

bool is_trace_dat(std::istream& in)
{
    std::array<char, kMagic.size()> begin{};
    in.read(begin.data(), begin.size());
    const bool found =
        in && std::string_view{begin.data(), begin.size()} == kMagic;
    in.clear();
    in.seekg(0);
    return found;
}

/// What trace-cmd writes of it, events as text.
std::string report(const std::filesystem::path& file)
{
    const std::string what =
        "--guest-trace: '" + printable(file.string()) + "'";
    // env looks for it in PATH.
    auto result = lab::run_program(
        "/usr/bin/env", {kReader, "report", "-q", "-i", file.string()});
    if (result.status == kNotFound)
        throw Failure{Exit::kCannotRun,
                      what + " is a trace.dat, and there is no " + kReader +
                          " to read it (Debian package trace-cmd)"};
    if (result.status != 0)
        throw Failure{Exit::kCannotRun, what + ": " + kReader +
                                            " report ended with status " +
                                            std::to_string(result.status) +
                                            ": " + printable(result.output)};
    return std::move(result.output);
}

}  // namespace

std::vector<trace::GuestLine> read_guest_trace_file(
    const std::filesystem::path& file)
{
    std::ifstream in{file, std::ios::binary};
    if (!in)
        throw Failure{Exit::kCannotRun, "--guest-trace: cannot read '" +
                                            printable(file.string()) + "'"};
    if (!is_trace_dat(in)) return trace::read_guest_trace(in);
    std::istringstream text{report(file)};
    try {
        return trace::read_guest_trace(text);
    } catch (const Failure& failure) {
        // Its status is 0 for files that it cannot read, too.
        const std::string said = text.str().substr(0, kMostSaid);
        throw Failure{failure.exit(), std::string{failure.what()} + "; " +
                                          kReader + " said: '" +
                                          printable(trimmed(said)) + "'"};
    }
}

}  // namespace ipidefer::cli
