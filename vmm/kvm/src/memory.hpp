// SPDX-License-Identifier: GPL-2.0-or-later
// Guest-physical memory: RAM from 0, and one read-only page with what the guest
// is told at start. Nothing else is backed; the rest of the address space is
// MMIO. api.rst 4.35 (KVM_SET_USER_MEMORY_REGION).
//
//   0 .. RAM end            RAM, at most up to 3 GiB
//   0xd0000000 .. +64 KiB   boot information, read-only
//   0xfee00000 .. +4 KiB    local APIC, xAPIC mode (local_apic.hpp)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ipidefer::vmm {

inline constexpr std::uint64_t kMostRam = 3ull << 30;
inline constexpr std::uint64_t kLeastRam = 2ull << 20;
inline constexpr std::uint64_t kBootInfoGpa = 0xd000'0000;
inline constexpr std::size_t kBootInfoBytes = 64 * 1024;

/// Anonymous memory of this process; pages appear when touched.
class Mapping {
  public:
    /// Throws a Failure when there is no such memory.
    explicit Mapping(std::size_t bytes);
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    [[nodiscard]] std::span<std::byte> bytes() const noexcept
    {
        return {static_cast<std::byte*>(at_), bytes_};
    }

  private:
    void* at_;
    std::size_t bytes_;
};

class GuestMemory {
  public:
    explicit GuestMemory(std::size_t ram_bytes);

    /// Tells KVM of it.
    void attach(int vm) const;

    [[nodiscard]] std::span<std::byte> ram() const noexcept
    {
        return ram_.bytes();
    }
    /// Written by us before the guest starts.
    [[nodiscard]] std::span<std::byte> boot_info() const noexcept
    {
        return boot_info_.bytes();
    }

    /// Where the guest can write a 32-bit word, or nullptr: not aligned, not
    /// RAM, read-only, or not wholly inside (I7). Valid for the life of this.
    [[nodiscard]] std::uint32_t* writable_word(
        std::uint64_t gpa) const noexcept;

    /// Copies once from RAM or boot information. The guest may write to the
    /// source meanwhile; the copy is what counts (I7). False: not all of it is
    /// memory, and `to` is untouched.
    [[nodiscard]] bool copy_from(std::uint64_t gpa,
                                 std::span<std::byte> to) const noexcept;

  private:
    Mapping ram_;
    Mapping boot_info_;
};

}  // namespace ipidefer::vmm
