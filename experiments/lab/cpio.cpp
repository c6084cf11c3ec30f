// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/cpio.hpp"

#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/failure.hpp"
#include "base/file.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTrailer = "TRAILER!!!";
/// Sizes are 32-bit in this format.
constexpr std::uint64_t kLargestFile = 0xffff'ffff;

}  // namespace

void CpioWriter::folder(std::string_view path, unsigned permissions)
{
    if (path.empty() || folders_.contains(path)) return;
    parents(path);
    folders_.emplace(path);
    write({.path = path, .mode = S_IFDIR | permissions});
}

void CpioWriter::file(std::string_view path, std::string_view content,
                      unsigned permissions)
{
    if (content.size() > kLargestFile)
        throw Failure{Exit::kCannotRun,
                      std::string{path} + " has " +
                          std::to_string(content.size()) +
                          " bytes, an initramfs takes files of up to " +
                          std::to_string(kLargestFile)};
    parents(path);
    write({.path = path, .mode = S_IFREG | permissions, .content = content});
}

void CpioWriter::symlink(std::string_view path, std::string_view target)
{
    parents(path);
    write({.path = path, .mode = S_IFLNK | 0777, .content = target});
}

void CpioWriter::character_device(std::string_view path, unsigned permissions,
                                  unsigned major, unsigned minor)
{
    parents(path);
    write({.path = path,
           .mode = S_IFCHR | permissions,
           .major = major,
           .minor = minor});
}

void CpioWriter::tree(const fs::path& from, std::string_view to)
{
    std::error_code error;
    for (fs::recursive_directory_iterator it{from, error}, end; it != end;
         it.increment(error)) {
        const auto& entry = *it;
        const auto status = entry.symlink_status();
        const auto permissions =
            static_cast<unsigned>(status.permissions()) & 07777u;
        std::string path{to};
        if (!path.empty()) path += '/';
        path += entry.path().lexically_relative(from).string();
        switch (status.type()) {
            case fs::file_type::directory:
                folder(path, permissions);
                break;
            case fs::file_type::regular:
                file(path, read_whole(entry.path()), permissions);
                break;
            case fs::file_type::symlink:
                symlink(path, fs::read_symlink(entry.path()).string());
                break;
            case fs::file_type::none:
            case fs::file_type::not_found:
            case fs::file_type::block:
            case fs::file_type::character:
            case fs::file_type::fifo:
            case fs::file_type::socket:
            case fs::file_type::unknown:
                throw Failure{Exit::kCannotRun,
                              entry.path().string() +
                                  " is no file, folder or symbolic link"};
        }
    }
    if (error)
        throw Failure{Exit::kCannotRun,
                      "reading " + from.string() + ": " + error.message()};
}

void CpioWriter::finish() { write({.path = kTrailer}); }

void CpioWriter::parents(std::string_view path)
{
    if (const auto slash = path.rfind('/'); slash != std::string_view::npos)
        folder(path.substr(0, slash));
}

void CpioWriter::write(const Entry& entry)
{
    // magic, inode, mode, uid, gid, links, mtime, size, device, rdev (major and
    // minor each), length of the name with its NUL, checksum
    const auto name_size = static_cast<std::uint32_t>(entry.path.size() + 1);
    const auto size = static_cast<std::uint32_t>(entry.content.size());
    const std::array<std::uint32_t, 13> fields{
        ++inode_, entry.mode, 0,           0,           1,         0, size,
        0,        0,          entry.major, entry.minor, name_size, 0};
    std::string header = "070701";
    for (const std::uint32_t field : fields) {
        std::array<char, 9> hex;
        std::snprintf(hex.data(), hex.size(), "%08x", field);
        header.append(hex.data(), 8);
    }
    out_ << header << entry.path << '\0';
    written_ += header.size() + name_size;
    pad();
    out_ << entry.content;
    written_ += size;
    pad();
}

void CpioWriter::pad()
{
    for (; written_ % 4 != 0; ++written_) out_ << '\0';
}

}  // namespace ipidefer::lab
