// SPDX-License-Identifier: GPL-2.0-or-later
// Guard: mappings that survive the truncation of their file (I7).
#pragma once

#include <cstddef>

namespace ipidefer::shm {

class GuardSlot;

/// A shared mapping that the SIGBUS handler knows, if one is installed.
class Mapping final {
  public:
    Mapping() = default;
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    /// @return false with errno set: ENOMEM also where there is no memory for
    ///         the handler's list; a mapping that it does not know is none
    [[nodiscard]] bool map(int fd, std::size_t bytes, bool writable) noexcept;

    [[nodiscard]] void* memory() const noexcept { return memory_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool truncated() const noexcept;

  private:
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
    GuardSlot* slot_ = nullptr;
};

}  // namespace ipidefer::shm
