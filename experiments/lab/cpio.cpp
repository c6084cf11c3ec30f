// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/cpio.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/failure.hpp"
#include "base/file.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

/// Sizes are 32-bit in this format.
constexpr std::uint64_t kLargestFile = 0xffff'ffff;

[[noreturn]] void fail(archive* a)
{
    throw Failure{Exit::kCannotRun,
                  std::string{"initramfs: "} + archive_error_string(a)};
}

la_ssize_t write_to_stream(archive* a, void* out, const void* data,
                           std::size_t size)
{
    auto& stream = *static_cast<std::ostream*>(out);
    if (stream.write(static_cast<const char*>(data),
                     static_cast<std::streamsize>(size)))
        return static_cast<la_ssize_t>(size);
    archive_set_error(a, EIO, "cannot be written");
    return -1;
}

}  // namespace

void CpioWriter::Free::operator()(archive* a) const noexcept
{
    (void)archive_write_free(a);
}

void CpioWriter::Free::operator()(archive_entry* entry) const noexcept
{
    archive_entry_free(entry);
}

CpioWriter::CpioWriter(std::ostream& out) : archive_{archive_write_new()}
{
    archive* const a = archive_.get();
    // Nothing is filled up: a kernel would skip it, and other readers complain.
    if (archive_write_set_format_cpio_newc(a) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open(a, &out, nullptr, write_to_stream, nullptr) !=
            ARCHIVE_OK)
        fail(a);
}

void CpioWriter::folder(std::string_view path, unsigned permissions)
{
    if (path.empty() || folders_.contains(path)) return;
    parents(path);
    folders_.emplace(path);
    write(entry_of(path, S_IFDIR | permissions));
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
    write(entry_of(path, S_IFREG | permissions), content);
}

void CpioWriter::symlink(std::string_view path, std::string_view target)
{
    parents(path);
    const Entry entry = entry_of(path, S_IFLNK | 0777);
    archive_entry_set_symlink(entry.get(), std::string{target}.c_str());
    write(entry);
}

void CpioWriter::character_device(std::string_view path, unsigned permissions,
                                  unsigned major, unsigned minor)
{
    parents(path);
    const Entry entry = entry_of(path, S_IFCHR | permissions);
    archive_entry_set_rdevmajor(entry.get(), major);
    archive_entry_set_rdevminor(entry.get(), minor);
    write(entry);
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

void CpioWriter::finish()
{
    if (archive_write_close(archive_.get()) != ARCHIVE_OK) fail(archive_.get());
}

void CpioWriter::parents(std::string_view path)
{
    if (const auto slash = path.rfind('/'); slash != std::string_view::npos)
        folder(path.substr(0, slash));
}

CpioWriter::Entry CpioWriter::entry_of(std::string_view path, unsigned mode)
{
    Entry entry{archive_entry_new()};
    archive_entry_set_pathname(entry.get(), std::string{path}.c_str());
    archive_entry_set_mode(entry.get(), mode);
    archive_entry_set_nlink(entry.get(), 1);
    // Else the kernel takes files for hard links of each other.
    archive_entry_set_ino64(entry.get(), ++inode_);
    archive_entry_set_size(entry.get(), 0);
    return entry;
}

void CpioWriter::write(const Entry& entry, std::string_view content)
{
    if (!content.empty())
        archive_entry_set_size(entry.get(),
                               static_cast<la_int64_t>(content.size()));
    if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK ||
        (!content.empty() &&
         archive_write_data(archive_.get(), content.data(), content.size()) !=
             static_cast<la_ssize_t>(content.size())))
        fail(archive_.get());
}

}  // namespace ipidefer::lab
