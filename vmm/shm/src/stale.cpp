// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/stale.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace ipidefer::shm {

int remove_if_gone(const Fd& folder, const char* file) noexcept
{
    // For writing, which the lock takes. NONBLOCK, NOFOLLOW: it may be anything
    // that somebody put there.
    const Fd segment{::openat(folder.get(), file,
                              O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)};
    if (!segment.valid()) return errno;
    // Of several removers one has it at a time, and only while the file has
    // the name; names of segments are not used again.
    if (!lock(segment))
        return errno == EAGAIN || errno == EACCES ? EBUSY : errno;
    struct stat ours {};
    struct stat named {};
    if (::fstat(segment.get(), &ours) != 0 ||
        ::fstatat(folder.get(), file, &named, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (ours.st_dev != named.st_dev || ours.st_ino != named.st_ino)
        return ENOENT;
    return ::unlinkat(folder.get(), file, 0) == 0 ? 0 : errno;
}

}  // namespace ipidefer::shm
