// SPDX-License-Identifier: GPL-2.0-or-later
// Guard: mappings that survive the truncation of their file (I7).
#pragma once

#include <atomic>
#include <cstddef>

namespace ipidefer::shm {

/// A shared mapping that the SIGBUS handler knows, if one is installed and
/// there is room for it in the handler's list.
class Mapping final {
  public:
    Mapping() = default;
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    /// @return false with errno set
    [[nodiscard]] bool map(int fd, std::size_t bytes, bool writable) noexcept;

    [[nodiscard]] void* memory() const noexcept { return memory_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool truncated() const noexcept
    {
        // Ordering: RELAXED: a flag of its own.
        return truncated_.load(std::memory_order_relaxed);
    }

    /// From the signal handler: is `address` in here? Then replace the memory.
    bool repair(const void* address) noexcept;

  private:
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
    std::atomic<bool> truncated_{false};
};

}  // namespace ipidefer::shm
