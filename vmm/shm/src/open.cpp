// SPDX-License-Identifier: GPL-2.0-or-later
// The tools' side: find, map and clean up segments.
#include <fcntl.h>
#include <ipidefer/shm.h>
#include <sys/stat.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <new>

#include "vmm/shm/src/clock.hpp"
#include "vmm/shm/src/error.hpp"
#include "vmm/shm/src/file.hpp"
#include "vmm/shm/src/folder.hpp"
#include "vmm/shm/src/guard.hpp"
#include "vmm/shm/src/name.hpp"
#include "vmm/shm/src/stale.hpp"

namespace ipidefer::shm {
namespace {

/// Far above the largest segment.
constexpr off_t kMostBytes = off_t{1} << 32;

/// Call `each(entry)` with the segments of one folder.
template <class Each>
void list_folder(const Fd& folder, const Owners& owners,
                 ipidefer_shm_left_out& left_out, Each each) noexcept
{
    Entries entries{folder};
    while (const char* file = entries.next()) {
        struct stat status {};
        // Not there any more: it ended meanwhile.
        if (!has_prefix(file) ||
            ::fstatat(folder.get(), file, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        ipidefer_shm_entry entry{};
        if (!owners.contains(status.st_uid)) {
            ++left_out.foreign;
        } else if (!S_ISREG(status.st_mode) ||
                   !ipidefer_shm_name_of_file(file, entry.name)) {
            ++left_out.other;
        } else {
            std::snprintf(entry.id, sizeof entry.id, "%s", id_of_file(file));
            entry.owner = status.st_uid;
            // Of its inode's last change, which its name was.
            entry.published_ns = nanoseconds(status.st_ctim);
            each(entry);
        }
    }
}

/// An open segment file, as far as owner and size tell; invalid with `error`
/// set.
Fd open_segment(const Fd& folder, const char* file, const Owners& owners,
                bool writable, struct stat& status,
                ipidefer_shm_error* error) noexcept
{
    const char* const id = id_of_file(file);
    // NONBLOCK, NOFOLLOW: it may be anything that somebody put there.
    Fd fd{::openat(
        folder.get(), file,
        (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)};
    if (!fd.valid()) {
        if (errno == ENOENT)
            fail(error, ENOENT, "there is no segment '%s'", id);
        else
            fail_errno(error, "open the segment", id);
        return Fd{};
    }
    if (::fstat(fd.get(), &status) != 0) {
        fail_errno(error, "look at the segment", id);
        return Fd{};
    }
    if (!owners.contains(status.st_uid)) {
        fail(error, EPERM,
             "the segment '%s' is user %" PRIu32
             "'s, who is not among those whose VMs are looked at",
             id, status.st_uid);
        return Fd{};
    }
    if (!S_ISREG(status.st_mode) ||
        status.st_size < static_cast<off_t>(sizeof(ipidefer_segment)) ||
        status.st_size > kMostBytes) {
        fail(error, EINVAL, "the file '%s' has %lld bytes: not a segment", id,
             static_cast<long long>(status.st_size));
        return Fd{};
    }
    return fd;
}

/// The folder of a place that has this file; invalid with `error` set.
Fd folder_of(const ipidefer_shm_place& place, const char* file,
             ipidefer_shm_error* error) noexcept
{
    Fd found;
    const auto look = [&](const char*, const Fd& folder) {
        struct stat status {};
        if (::fstatat(folder.get(), file, &status, AT_SYMLINK_NOFOLLOW) != 0)
            return true;
        found = Fd{::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0)};
        return false;
    };
    if (!each_folder(place, IPIDEFER_SHM_PARENT, look, error)) return Fd{};
    if (!found.valid())
        fail(error, ENOENT, "there is no segment '%s'", id_of_file(file));
    return found;
}

}  // namespace
}  // namespace ipidefer::shm

struct ipidefer_shm_map {
    ipidefer::shm::Fd file;
    uid_t owner = 0;
    ipidefer::shm::Mapping mapping;
};

int ipidefer_shm_list(const ipidefer_shm_place* place,
                      void (*each)(void* opaque,
                                   const ipidefer_shm_entry* entry),
                      void* opaque, ipidefer_shm_left_out* left_out,
                      ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    const Owners owners{*place};
    ipidefer_shm_left_out counted{};
    const bool done = each_folder(
        *place, IPIDEFER_SHM_PARENT,
        [&](const char*, const Fd& folder) {
            list_folder(
                folder, owners, counted,
                [&](const ipidefer_shm_entry& entry) { each(opaque, &entry); });
            return true;
        },
        error);
    if (left_out != nullptr) *left_out = counted;
    return done ? 0 : -1;
}

int ipidefer_shm_folders(const ipidefer_shm_place* place,
                         void (*each)(void* opaque, const char* path),
                         void* opaque, ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    return each_folder(
               *place, IPIDEFER_SHM_PARENT,
               [&](const char* path, const Fd&) {
                   each(opaque, path);
                   return true;
               },
               error)
               ? 0
               : -1;
}

ipidefer_shm_map* ipidefer_shm_open(const ipidefer_shm_place* place,
                                    const char* id, bool writable,
                                    ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    FileName file;
    if (!file_of_id(id, file, error)) return nullptr;
    const Fd folder = folder_of(*place, file, error);
    if (!folder.valid()) return nullptr;
    struct stat status {};
    Fd segment =
        open_segment(folder, file, Owners{*place}, writable, status, error);
    if (!segment.valid()) return nullptr;
    std::unique_ptr<ipidefer_shm_map> map{new (std::nothrow)
                                              ipidefer_shm_map{}};
    if (map == nullptr) {
        fail(error, ENOMEM, "no memory");
        return nullptr;
    }
    if (!map->mapping.map(segment.get(),
                          static_cast<std::size_t>(status.st_size), writable)) {
        fail_errno(error, "map the segment", id);
        return nullptr;
    }
    map->file = std::move(segment);
    map->owner = status.st_uid;
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

uid_t ipidefer_shm_owner(const ipidefer_shm_map* map) { return map->owner; }

bool ipidefer_shm_truncated(const ipidefer_shm_map* map)
{
    return map->mapping.truncated();
}

void ipidefer_shm_close(ipidefer_shm_map* map) { delete map; }

ipidefer_shm_life ipidefer_shm_life_of(const ipidefer_shm_map* map)
{
    return ipidefer::shm::life_of(map->file);
}

int ipidefer_shm_remove_stale(const ipidefer_shm_place* place, const char* id,
                              ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    FileName file;
    if (!file_of_id(id, file, error)) return -1;
    const Fd folder = folder_of(*place, file, error);
    if (!folder.valid()) return -1;
    struct stat status {};
    const Owners owners{*place};
    if (::fstatat(folder.get(), file, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        !owners.contains(status.st_uid)) {
        fail(error, EPERM, "the segment '%s' is user %" PRIu32 "'s", id,
             status.st_uid);
        return -1;
    }
    switch (const int code = remove_if_gone(folder, file)) {
        case 0:
            return 0;
        case EBUSY:
            fail(error, EBUSY, "the VMM of segment '%s' runs", id);
            return -1;
        default:
            errno = code;
            fail_errno(error, "remove the segment", id);
            return -1;
    }
}
