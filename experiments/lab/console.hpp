// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's console: kept in a file, and watched for what a kernel prints
// when something is wrong.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "experiments/lab/host_time.hpp"

namespace ipidefer::lab {

/// For trouble that is a lack of time: the kernel says that something did not
/// happen for so long, which may be the host's doing.
struct Lateness {
    std::chrono::seconds limit;
    HostTime::Share share;

    bool operator==(const Lateness&) const = default;
};

struct Trouble {
    std::string_view kind;
    std::optional<Lateness> late;
};

/// What kind of trouble a line of the kernel's log announces, if any.
[[nodiscard]] std::optional<Trouble> defect_in(std::string_view line);

/// What kept a guest that complains of lateness from running, if anything did.
/// @param complained when its complaint was read
/// @param emulated whether the host is, as in the box. Its kernel counts what
///   its CPUs run, and not when they stand still. How much the machine below
///   gave their threads is known, but not what these did with it: they also
///   translate, and wait for one another. So lateness is the box's, for as
///   long as the guest complains of.
[[nodiscard]] std::optional<Starvation> excuse(
    const Lateness& late, const HostTime& time,
    HostTime::Clock::time_point complained, bool emulated);

class Console {
  public:
    /// Throws a Failure when the file cannot be written.
    explicit Console(const std::filesystem::path& log);

    void feed(std::string_view bytes);

    /// The first line that announced trouble, and what kind. Trouble that no
    /// lack of time explains goes before the other.
    [[nodiscard]] const std::optional<std::string>& defect() const
    {
        return defect_;
    }
    /// Of the same line.
    [[nodiscard]] const std::optional<Lateness>& late() const { return late_; }
    /// The last lines.
    [[nodiscard]] std::string tail() const;

  private:
    void end_line();

    std::ofstream log_;
    std::string line_;
    std::deque<std::string> last_;
    std::optional<std::string> defect_;
    std::optional<Lateness> late_;
};

}  // namespace ipidefer::lab
