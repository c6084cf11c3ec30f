// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's console: kept in a file, and watched for what a kernel prints
// when something is wrong.
#pragma once

#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace ipidefer::lab {

/// What kind of trouble a line of the kernel's log announces, if any.
[[nodiscard]] std::optional<std::string_view> defect_in(std::string_view line);

class Console {
  public:
    /// Throws a Failure when the file cannot be written.
    explicit Console(const std::filesystem::path& log);

    void feed(std::string_view bytes);

    /// The first line that announced trouble, and what kind.
    [[nodiscard]] const std::optional<std::string>& defect() const
    {
        return defect_;
    }
    /// The last lines.
    [[nodiscard]] std::string tail() const;

  private:
    void end_line();

    std::ofstream log_;
    std::string line_;
    std::deque<std::string> last_;
    std::optional<std::string> defect_;
};

}  // namespace ipidefer::lab
