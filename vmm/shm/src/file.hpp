// SPDX-License-Identifier: GPL-2.0-or-later
// File: descriptors that close, and the folder that segments are in.
#pragma once

#include <fcntl.h>
#include <ipidefer/shm.h>
#include <unistd.h>

#include <utility>

namespace ipidefer::shm {

class Fd final {
  public:
    explicit Fd(int fd = -1) noexcept : fd_{fd} {}
    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Fd& operator=(Fd&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd()
    {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }

  private:
    int fd_;
};

[[nodiscard]] inline const char* or_default(const char* directory) noexcept
{
    return directory == nullptr ? IPIDEFER_SHM_DIRECTORY : directory;
}

/// Invalid, with `error` set, when there is no such folder.
[[nodiscard]] Fd open_folder(const char* directory,
                             ipidefer_shm_error* error) noexcept;

/// ipidefer_shm_remove_stale() in an open folder.
int remove_stale(const Fd& folder, const char* name,
                 ipidefer_shm_error* error) noexcept;

}  // namespace ipidefer::shm
