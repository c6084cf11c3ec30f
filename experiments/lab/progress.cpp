// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/progress.hpp"

#include <unistd.h>

#include <iostream>

namespace ipidefer::lab {

Progress::Progress()
    : watched_{::isatty(STDERR_FILENO) == 1},
      start_{std::chrono::steady_clock::now()}
{
}

Progress::~Progress() { clear(); }

void Progress::show(const std::string& what)
{
    if (!watched_) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::steady_clock::now() - start_);
    clear();
    std::cerr << '[' << seconds.count() << " s] " << what << std::flush;
    shown_ = true;
}

void Progress::note(const std::string& what)
{
    clear();
    std::cerr << "ipidefer: " << what << std::endl;
}

void Progress::clear()
{
    if (shown_) std::cerr << "\r\033[K" << std::flush;
    shown_ = false;
}

}  // namespace ipidefer::lab
