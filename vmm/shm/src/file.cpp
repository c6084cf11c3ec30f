// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/file.hpp"

#include <fcntl.h>

namespace ipidefer::shm {
namespace {

/// Of the whole file, however long it is.
struct flock write_lock() noexcept
{
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

}  // namespace

// Open file description locks, not those of processes: they end when the last
// descriptor of this very open() is closed, and not when any thread closes any
// descriptor of the file. Not flock(2), which can only be asked for by taking
// it: two who look would see each other.
bool lock(const Fd& file) noexcept
{
    struct flock wanted = write_lock();
    return ::fcntl(file.get(), F_OFD_SETLK, &wanted) == 0;
}

ipidefer_shm_life life_of(const Fd& file) noexcept
{
    // A read lock, which only a write lock is in the way of: that takes a
    // descriptor that may write, so whoever may only read cannot feign life.
    struct flock asked = write_lock();
    asked.l_type = F_RDLCK;
    if (::fcntl(file.get(), F_OFD_GETLK, &asked) != 0)
        return IPIDEFER_SHM_UNKNOWN;
    return asked.l_type == F_UNLCK ? IPIDEFER_SHM_GONE : IPIDEFER_SHM_RUNS;
}

}  // namespace ipidefer::shm
