// SPDX-License-Identifier: GPL-2.0-or-later
// Audit: who changed what in which VM's policy. One JSON object per line, to
// standard error and to a file, if there is one. Under systemd the journal has
// it, with the fields IPIDEFER_VM and IPIDEFER_BY.
//
// Nothing is lost in silence: what the file does not take, as on a full disk,
// is kept and tried again with the next entry and with each flush(); what is
// too much to keep is counted, and is on standard error all the same.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

namespace ipidefer::daemon {

class Audit final {
  public:
    /// Entries that are kept for a file that does not take them.
    static constexpr std::size_t kMostKept = 1000;

    /// @param file appended to; empty: none. Throws Failure when it cannot be
    ///             opened.
    explicit Audit(const std::filesystem::path& file);
    ~Audit();
    Audit(const Audit&) = delete;
    Audit& operator=(const Audit&) = delete;

    /// @param by      "configuration", "control uid=0 pid=12", or "somebody
    ///                else" for changes made in the segment directly
    /// @param changes of segment::differences(); nothing is logged for none
    void policy(const std::string& vm, const std::string& by,
                const std::vector<std::string>& changes);

    /// Try again to write what is kept.
    void flush();
    /// Open the file anew: somebody may have moved it away (logrotate). What
    /// cannot be done is tried again by flush().
    void reopen();

    /// Entries that the file has not got yet.
    [[nodiscard]] std::size_t kept() const noexcept { return kept_.size(); }
    /// Entries that the file will not get.
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

    /// A remark for the operator, which is no change of a policy.
    static void note(const std::string& text);

  private:
    [[nodiscard]] bool open();
    /// Once for each trouble.
    void trouble(const std::string& what, int error);

    std::filesystem::path path_;
    int file_ = -1;
    std::deque<std::string> kept_;  // the first may be partly written
    std::uint64_t lost_ = 0;
    std::string trouble_;
};

}  // namespace ipidefer::daemon
