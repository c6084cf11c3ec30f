// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/command_line.hpp"

#include <exception>
#include <iostream>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer {

std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv)
{
    try {
        app.parse(argc, argv);
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        // The parser misses a command before it looks at what is in its place.
        if (const auto rest = app.remaining(true);
            dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
            !rest.empty() && !rest.front().starts_with('-'))
            throw Failure{Exit::kCannotRun,
                          "'" + printable(rest.front()) +
                              "' is no command here, see --help"};
        return static_cast<int>(app.exit(error) == 0 ? Exit::kDone
                                                     : Exit::kCannotRun);
    }
}

int main_of(const std::string& program,
            const std::function<int()>& run) noexcept
{
    try {
        return run();
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
