// SPDX-License-Identifier: GPL-2.0-or-later
// One line on standard error that says what is going on, if a person watches.
#pragma once

#include <chrono>
#include <string>

namespace ipidefer::lab {

class Progress {
  public:
    Progress();
    /// Leaves an empty line behind.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(const std::string& what);
    /// A line that stays, whoever watches.
    void note(const std::string& what);

  private:
    void clear();

    bool watched_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point start_;
};

}  // namespace ipidefer::lab
