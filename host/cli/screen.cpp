// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/screen.hpp"

#define NCURSES_NOMACROS  // std::erase and others have these names
#include <curses.h>
#include <unistd.h>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "base/option_value.hpp"

namespace ipidefer::cli {

static_assert(Screen::kNoKey == ERR);

std::unique_ptr<Screen> Screen::open()
{
    // Not initscr(), which ends the program when there is no terminal.
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0 ||
        ::newterm(nullptr, stdout, stdin) == nullptr)
        return nullptr;
    ::cbreak();
    ::noecho();
    ::curs_set(0);
    return std::unique_ptr<Screen>{new Screen};
}

Screen::~Screen() { ::endwin(); }

void Screen::show(const std::vector<std::string>& lines)
{
    ::erase();
    int row = 0;
    for (const std::string& line : lines) {
        if (row == LINES) break;
        ::mvaddnstr(row++, 0, line.c_str(), COLS);
    }
    ::refresh();
}

int Screen::key(std::chrono::milliseconds within)
{
    ::timeout(static_cast<int>(within.count()));
    return ::getch();
}

std::chrono::milliseconds parse_refresh(const std::string& option,
                                        const std::string& text)
{
    constexpr std::chrono::milliseconds kShortest{100};
    constexpr std::chrono::milliseconds kLongest{3'600'000};
    const auto every = std::chrono::duration_cast<std::chrono::milliseconds>(
        named_option(option, [&] { return parse_duration(text); }));
    if (every < kShortest || every > kLongest)
        refuse_option(option, text + " is not within 100ms and 1h");
    return every;
}

}  // namespace ipidefer::cli
