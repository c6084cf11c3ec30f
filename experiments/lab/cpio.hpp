// SPDX-License-Identifier: GPL-2.0-or-later
// Archives in the "newc" cpio format, as the Linux kernel unpacks them for its
// initial root (Documentation/driver-api/early-userspace/buffer-format.rst),
// written by libarchive. Times and owners are zero, so that the same content is
// the same archive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <string_view>

struct archive;
struct archive_entry;

namespace ipidefer::lab {

class CpioWriter {
  public:
    explicit CpioWriter(std::ostream& out);

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
    struct Free {
        void operator()(archive* a) const noexcept;
        void operator()(archive_entry* entry) const noexcept;
    };
    using Entry = std::unique_ptr<archive_entry, Free>;

    void parents(std::string_view path);
    /// @param mode type and permissions
    [[nodiscard]] Entry entry_of(std::string_view path, unsigned mode);
    void write(const Entry& entry, std::string_view content = {});

    std::unique_ptr<archive, Free> archive_;
    std::set<std::string, std::less<>> folders_;
    std::int64_t inode_ = 0;
};

}  // namespace ipidefer::lab
