// SPDX-License-Identifier: GPL-2.0-or-later
// The I/O ports of the machine: a debug console, an exit, and a mark. There is
// nothing else: other ports read as ones and ignore writes.
//
//   0xe9  out: bytes for the console.  in: 0xe9, so that it can be found
//   0xf4  out: the guest ends; 0 is success
//   0xf5  out: a mark, which notes all counters together with the value
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "vmm/kvm/src/ending.hpp"

namespace ipidefer::vmm {

inline constexpr std::uint16_t kPortConsole = 0xe9;
inline constexpr std::uint16_t kPortExit = 0xf4;
inline constexpr std::uint16_t kPortMark = 0xf5;

/// What one vCPU has been through, since the start.
struct VcpuCounts {
    std::uint64_t returns = 0;  // times that KVM_RUN returned to us
    std::uint64_t exits = 0;    // times that KVM left the guest, if it counts
    std::uint64_t interrupts = 0;  // fixed ones that were injected
    std::uint64_t nmis = 0;
    std::uint64_t kicks = 0;
    std::uint64_t msrs = 0, mmios = 0, ios = 0, halts = 0;
};

struct Mark {
    std::uint32_t value = 0;
    std::uint64_t ns = 0;  // since the start
    std::vector<VcpuCounts> vcpus;
};

class Ports {
  public:
    /// The guest cannot make us keep more than this (I7).
    static constexpr std::size_t kMostConsole = 1 << 20;
    static constexpr std::size_t kMostMarks = 4096;

    using Snapshot = std::function<Mark()>;
    /// `snapshot` fills in all of a mark but its value.
    Ports(Ending& ending, Snapshot snapshot);

    // Any vCPU's thread.
    void write(std::uint16_t port, unsigned bytes, std::uint32_t value);
    [[nodiscard]] static std::uint32_t read(std::uint16_t port) noexcept;

    /// What the guest printed since the last call.
    [[nodiscard]] std::string take_console();
    /// Bytes that were not kept, beyond kMostConsole.
    [[nodiscard]] std::uint64_t console_lost() const;
    [[nodiscard]] std::vector<Mark> marks() const;
    [[nodiscard]] std::uint64_t marks_lost() const;

  private:
    Ending& ending_;
    Snapshot snapshot_;
    mutable std::mutex mutex_;
    std::string console_;
    std::size_t console_bytes_ = 0;
    std::uint64_t console_lost_ = 0;
    std::vector<Mark> marks_;
    std::uint64_t marks_lost_ = 0;
};

}  // namespace ipidefer::vmm
