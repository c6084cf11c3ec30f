// SPDX-License-Identifier: GPL-2.0-or-later
// A private folder for sockets and files of one run, gone afterwards.
#pragma once

#include <filesystem>

namespace ipidefer {

class Scratch {
  public:
    /// Below the system's folder for temporary files. Throws a Failure.
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace ipidefer
