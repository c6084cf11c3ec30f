// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/command_line.hpp"

#include <poll.h>
#include <unistd.h>

#include <exception>
#include <iostream>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer {
namespace {

/// As head(1) does, which wanted no more: poll(2) says so of a pipe.
bool reader_has_left()
{
    pollfd output{STDOUT_FILENO, POLLOUT, 0};
    return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

}  // namespace

std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv)
{
    try {
        app.parse(argc, argv);
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {  // help or version
            (void)app.exit(error);
            return static_cast<int>(Exit::kDone);
        }
        // The parser misses a command before it looks at what is in its place.
        if (const auto rest = app.remaining(true);
            dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
            !rest.empty() && !rest.front().starts_with('-'))
            throw Failure{Exit::kCannotRun,
                          "'" + printable(rest.front()) +
                              "' is no command here, see --help"};
        throw Failure{Exit::kCannotRun,
                      printable(error.what()) + ", see --help"};
    }
}

int main_of(const std::string& program,
            const std::function<int()>& run) noexcept
{
    try {
        const int status = run();
        // What is lost, as on a disk that is full, is no success.
        if (!std::cout.flush() && !reader_has_left())
            throw Failure{Exit::kCannotRun, "cannot write standard output"};
        return status;
    } catch (const Failure& failure) {
        std::cerr << program << ": " << failure.what() << '\n'
                  << failure.detail();
        return static_cast<int>(failure.exit());
    } catch (const std::exception& error) {
        std::cerr << program << ": " << error.what() << '\n';
        return static_cast<int>(Exit::kCannotRun);
    }
}

}  // namespace ipidefer
