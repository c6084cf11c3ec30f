// SPDX-License-Identifier: GPL-2.0-or-later
// Audit: who changed what in which VM's policy. One JSON object per line, to
// standard error (the journal, under systemd) and to a file, if there is one.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace ipidefer::daemon {

class Audit final {
  public:
    /// @param file appended to; empty: none. Throws Failure when it cannot be
    ///             opened.
    explicit Audit(const std::filesystem::path& file);

    /// @param by      "configuration", "control uid=0 pid=12", or "somebody
    ///                else" for changes made in the segment directly
    /// @param changes of segment::differences(); nothing is logged for none
    void policy(const std::string& vm, const std::string& by,
                const std::vector<std::string>& changes);

    /// A remark for the operator, which is no change of a policy.
    static void note(const std::string& text);

  private:
    std::ofstream file_;
};

}  // namespace ipidefer::daemon
