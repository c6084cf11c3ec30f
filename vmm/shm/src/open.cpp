// SPDX-License-Identifier: GPL-2.0-or-later
// The tools' side: find, map and clean up segments.
#include <dirent.h>
#include <ipidefer/shm.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <new>

#include "error.hpp"
#include "file.hpp"
#include "guard.hpp"
#include "name.hpp"

namespace ipidefer::shm {
namespace {

/// Far above the largest segment.
constexpr off_t kMostBytes = off_t{1} << 32;

/// An open segment file, as far as its size tells; invalid with `error` set.
Fd open_segment(const Fd& folder, const char* name, bool writable,
                struct stat& status, ipidefer_shm_error* error) noexcept
{
    FileName file;
    if (!file_of_name(name, file, error)) return Fd{};
    // NONBLOCK, NOFOLLOW: it may be anything that somebody put there.
    Fd fd{::openat(
        folder.get(), file,
        (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)};
    if (!fd.valid()) {
        if (errno == ENOENT)
            fail(error, ENOENT, "there is no VM '%s'", name);
        else
            fail_errno(error, "open the segment of VM", name);
        return Fd{};
    }
    if (::fstat(fd.get(), &status) != 0) {
        fail_errno(error, "look at the segment of VM", name);
        return Fd{};
    }
    if (!S_ISREG(status.st_mode) ||
        status.st_size < static_cast<off_t>(sizeof(ipidefer_segment)) ||
        status.st_size > kMostBytes) {
        fail(error, EINVAL, "the file of VM '%s' has %lld bytes: not a segment",
             name, static_cast<long long>(status.st_size));
        return Fd{};
    }
    return fd;
}

}  // namespace

Fd open_folder(const char* directory, ipidefer_shm_error* error) noexcept
{
    Fd folder{::open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder.valid()) fail_errno(error, "open the folder", directory);
    return folder;
}

int remove_stale(const Fd& folder, const char* name,
                 ipidefer_shm_error* error) noexcept
{
    struct stat status {};
    const Fd file = open_segment(folder, name, false, status, error);
    if (!file.valid()) return -1;
    // One remover of this file at a time, and only while it has the name: a
    // second one would otherwise remove the segment that came after.
    struct stat named {};
    FileName path;
    if (!file_of_name(name, path, error)) return -1;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 ||
        ::fstatat(folder.get(), path, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != status.st_ino || named.st_dev != status.st_dev) {
        fail(error, ENOENT, "the segment of VM '%s' is being replaced", name);
        return -1;
    }
    ipidefer_segment header{};
    if (::pread(file.get(), &header, sizeof header, 0) != sizeof header ||
        header.magic != IPIDEFER_SEGMENT_MAGIC ||
        header.version != IPIDEFER_SEGMENT_VERSION) {
        fail(error, EINVAL,
             "the file of VM '%s' is not a segment of version %u", name,
             IPIDEFER_SEGMENT_VERSION);
        return -1;
    }
    if (header.state != IPIDEFER_SEGMENT_ENDED) {
        const auto owner =
            ipidefer_shm_owner(header.pid, header.pid_start, header.pid_ns);
        if (owner != IPIDEFER_SHM_GONE) {
            fail(error, EBUSY,
                 owner == IPIDEFER_SHM_RUNS
                     ? "its owner, pid %llu, runs"
                     : "whether its owner, pid %llu, runs cannot be told",
                 static_cast<unsigned long long>(header.pid));
            return -1;
        }
    }
    if (::unlinkat(folder.get(), path, 0) != 0) {
        fail_errno(error, "remove the segment of VM", name);
        return -1;
    }
    return 0;
}

}  // namespace ipidefer::shm

struct ipidefer_shm_map {
    ipidefer::shm::Mapping mapping;
};

ipidefer_shm_map* ipidefer_shm_open(const char* directory, const char* name,
                                    bool writable, ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    const Fd folder = open_folder(or_default(directory), error);
    if (!folder.valid()) return nullptr;
    struct stat status {};
    const Fd file = open_segment(folder, name, writable, status, error);
    if (!file.valid()) return nullptr;
    std::unique_ptr<ipidefer_shm_map> map{new (std::nothrow)
                                              ipidefer_shm_map{}};
    if (map == nullptr ||
        !map->mapping.map(file.get(), static_cast<std::size_t>(status.st_size),
                          writable)) {
        fail_errno(error, "map the segment of VM", name);
        return nullptr;
    }
    return map.release();
}

void* ipidefer_shm_memory(ipidefer_shm_map* map)
{
    return map->mapping.memory();
}

size_t ipidefer_shm_bytes(const ipidefer_shm_map* map)
{
    return map->mapping.bytes();
}

bool ipidefer_shm_truncated(const ipidefer_shm_map* map)
{
    return map->mapping.truncated();
}

void ipidefer_shm_close(ipidefer_shm_map* map) { delete map; }

int ipidefer_shm_list(const char* directory,
                      void (*each)(void* opaque, const char* name),
                      void* opaque, ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    DIR* folder = ::opendir(or_default(directory));
    if (folder == nullptr) {
        fail_errno(error, "read the folder", or_default(directory));
        return -1;
    }
    char name[IPIDEFER_SEGMENT_NAME];
    while (const dirent* entry = ::readdir(folder))
        if (ipidefer_shm_name_of_file(entry->d_name, name)) each(opaque, name);
    ::closedir(folder);
    return 0;
}

int ipidefer_shm_remove_stale(const char* directory, const char* name,
                              ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    const Fd folder = open_folder(or_default(directory), error);
    return folder.valid() ? remove_stale(folder, name, error) : -1;
}
