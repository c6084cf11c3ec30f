// SPDX-License-Identifier: GPL-2.0-or-later
// Screen: the terminal as a page of lines that is drawn anew, for commands that
// are watched. It is the user's again however the command ends.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace ipidefer::cli {

class Screen final {
  public:
    /// @return nothing where there is no terminal to read keys from and draw on
    [[nodiscard]] static std::unique_ptr<Screen> open();
    ~Screen();
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    /// What does not fit is left out.
    void show(const std::vector<std::string>& lines);
    /// A key within this time, or nothing (kNoKey), as when a signal comes.
    [[nodiscard]] int key(std::chrono::milliseconds within);
    static constexpr int kNoKey = -1;

  private:
    Screen() = default;
};

/// How often a screen is drawn. Throws Failure, naming the option, for less
/// than 100 ms or more than 1 h.
[[nodiscard]] std::chrono::milliseconds parse_refresh(const std::string& option,
                                                      const std::string& text);

}  // namespace ipidefer::cli
