// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/vmm_process.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <vector>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::segment {
namespace {

namespace fs = std::filesystem;

struct File {
    dev_t device = 0;
    ino_t inode = 0;

    bool operator==(const File&) const = default;
};

std::optional<File> file_at(const fs::path& path)
{
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return File{status.st_dev, status.st_ino};
}

/// The file that was opened as this segment: the place may have folders of
/// several owners, and another's file may have its name.
std::optional<File> file_of(const Place& place, const OpenVm& vm)
{
    for (const fs::path& folder : folders_of(place)) {
        const fs::path path = folder / (IPIDEFER_SHM_PREFIX + vm.id());
        struct stat status {};
        if (::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
            status.st_uid == vm.owner())
            return File{status.st_dev, status.st_ino};
    }
    return std::nullopt;
}

/// Whether an open file holds a write lock of its own, by what /proc says of
/// it: "lock:  1: OFDLCK  ADVISORY  WRITE -1 00:1b:529 0 EOF".
bool holds_lock(const fs::path& fdinfo)
{
    std::ifstream in{fdinfo};
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with("lock:")) continue;
        const auto words = words_of(line);
        if (std::ranges::find(words, "OFDLCK") != words.end() &&
            std::ranges::find(words, "WRITE") != words.end())
            return true;
    }
    return false;
}

struct Holders {
    std::vector<int> pids;
    std::size_t closed = 0;  // processes whose files we may not see
};

Holders holders_of(const File& file, const fs::path& proc)
{
    Holders holders;
    std::error_code error;
    for (const auto& process : fs::directory_iterator{proc, error}) {
        const auto pid = number_of<int>(process.path().filename().string());
        if (!pid) continue;
        std::error_code refused;
        fs::directory_iterator files{process.path() / "fdinfo", refused};
        if (refused == std::errc::permission_denied) ++holders.closed;
        for (; !refused && files != fs::directory_iterator{};
             files.increment(refused)) {
            // The lock first: few files have one, and to look at a file itself
            // may take long, as of one that is on another machine.
            if (holds_lock(files->path()) &&
                file_at(process.path() / "fd" / files->path().filename()) ==
                    file) {
                holders.pids.push_back(*pid);
                break;
            }
        }
    }
    std::ranges::sort(holders.pids);
    return holders;
}

}  // namespace

int vmm_process(const Place& place, const std::string& vm, const fs::path& proc)
{
    const OpenVm open{place, vm};
    const std::string who = "VM '" + printable(open.label()) + "'";
    if (const Life life = open.life();
        life == Life::kGone || life == Life::kEnded)
        throw Failure{Exit::kCannotRun,
                      who +
                          " does not run: its segment is that of a VM that "
                          "ended"};
    const auto file = file_of(place, open);
    if (!file)
        throw Failure{Exit::kCannotRun, who + " ended while it was looked at"};
    const Holders holders = holders_of(*file, proc);
    if (holders.pids.size() == 1) return holders.pids.front();
    if (holders.pids.empty())
        throw Failure{Exit::kCannotRun,
                      "no process holds the segment of " + who +
                          (holders.closed == 0
                               ? ", as far as " + proc.string() + " shows"
                               : ", of those whose files this user may see; " +
                                     std::to_string(holders.closed) +
                                     " others are root's to look at")};
    std::string text = "several processes hold the segment of " + who + ", ";
    text += "give one by its PID:";
    for (const int pid : holders.pids) text += ' ' + std::to_string(pid);
    throw Failure{Exit::kCannotRun, text};
}

}  // namespace ipidefer::segment
