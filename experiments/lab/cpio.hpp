// SPDX-License-Identifier: GPL-2.0-or-later
// Archives in the "newc" cpio format, as the Linux kernel unpacks them for its
// initial root: Documentation/driver-api/early-userspace/buffer-format.rst.
// Not handled: hard links, checksums.
#pragma once

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <set>
#include <string>
#include <string_view>

namespace ipidefer::lab {

class CpioWriter {
  public:
    explicit CpioWriter(std::ostream& out) : out_{out} {}

    /// `path` is relative to the root. Folders on the way to it are added when
    /// they were not yet.
    void folder(std::string_view path, unsigned permissions = 0755);
    void file(std::string_view path, std::string_view content,
              unsigned permissions);
    void symlink(std::string_view path, std::string_view target);
    void character_device(std::string_view path, unsigned permissions,
                          unsigned major, unsigned minor);
    /// Files, folders and symbolic links below `from`. Throws a Failure for
    /// anything else, and for what cannot be read.
    void tree(const std::filesystem::path& from, std::string_view to);
    /// Ends the archive; nothing can be added after it.
    void finish();

  private:
    struct Entry {
        std::string_view path{};
        std::uint32_t mode = 0;
        std::uint32_t major = 0;
        std::uint32_t minor = 0;
        std::string_view content{};
    };

    void parents(std::string_view path);
    void write(const Entry& entry);
    void pad();

    std::ostream& out_;
    std::set<std::string, std::less<>> folders_;
    std::uint64_t written_ = 0;
    std::uint32_t inode_ = 0;
};

}  // namespace ipidefer::lab
