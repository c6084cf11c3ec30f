// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/guest_trace_file.hpp"

#include <array>
#include <fstream>
#include <string_view>

#include "base/failure.hpp"
#include "base/process.hpp"
#include "base/text.hpp"

namespace ipidefer::cli {
namespace {

constexpr char kReader[] = "trace-cmd";
constexpr int kNotFound = 127;  // env(1)

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

/// What trace-cmd writes of it, events as text, read as it comes.
trace::GuestTrace read_by_trace_cmd(const std::filesystem::path& file,
                                    const std::string& what)
{
    // env looks for it in PATH.
    Process child{{.program = "/usr/bin/env",
                   .arguments = {kReader, "report", "-q", "-i", file.string()},
                   .piped = true}};
    // Where reading fails, the child ends with its owner.
    trace::GuestTrace trace =
        trace::read_guest_trace(*stream_of(child.output()));
    const int status = child.wait();
    if (status == kNotFound)
        throw Failure{Exit::kCannotRun,
                      what + " is a trace.dat, and there is no " + kReader +
                          " to read it (Debian package trace-cmd)"};
    if (status != 0)
        throw Failure{Exit::kCannotRun, what + ": " + kReader +
                                            " report ended with status " +
                                            std::to_string(status) + ": " +
                                            printable(trace.first_other_text)};
    return trace;
}

}  // namespace

trace::GuestTrace read_guest_trace_file(const std::filesystem::path& file)
{
    const std::string what =
        "--guest-trace: '" + printable(file.string()) + "'";
    std::ifstream in{file, std::ios::binary};
    if (!in) throw Failure{Exit::kCannotRun, what + " cannot be read"};
    const bool dat = is_trace_dat(in);
    trace::GuestTrace trace =
        dat ? read_by_trace_cmd(file, what) : trace::read_guest_trace(in);
    if (!trace.lines.empty()) return trace;
    std::string why = what + " has no line that is an event";
    // Its status is 0 for files that it cannot read, too.
    if (dat)
        why += std::string{", "} + kReader + " said: '" +
               printable(trimmed(trace.first_other_text)) + "'";
    else if (trace.others != 0)
        why += ", the first of " + std::to_string(trace.others) + " is '" +
               printable(trimmed(trace.first_other_text)) + "'";
    throw Failure{Exit::kCannotRun, why + trace::guest_trace_remedy()};
}

}  // namespace ipidefer::cli
