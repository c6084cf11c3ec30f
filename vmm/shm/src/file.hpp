// SPDX-License-Identifier: GPL-2.0-or-later
// File: a descriptor that closes, and the lock that says that a VMM lives.
#pragma once

#include <ipidefer/shm.h>
#include <unistd.h>

#include <utility>

namespace ipidefer::shm {

class Fd final {
  public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_{fd} {}
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
    int fd_ = -1;
};

/// Take the write lock of a segment for as long as this descriptor, or one that
/// a child process inherits, is open. Takes descriptors that may write.
/// @return false with errno set: EAGAIN when somebody has it
[[nodiscard]] bool lock(const Fd& file) noexcept;

/// Has somebody else the write lock? Takes none, so that any number may ask.
[[nodiscard]] ipidefer_shm_life life_of(const Fd& file) noexcept;

}  // namespace ipidefer::shm
