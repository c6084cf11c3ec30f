// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest finds at kBootInfoGpa, read-only to it: the PVH start info,
// multiboot information, a memory map, the command line; and for those that
// enter in long mode a GDT and page tables, which it may go on using.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "memory.hpp"

namespace ipidefer::vmm {

// Guest-physical addresses.
inline constexpr std::uint64_t kStartInfoGpa = kBootInfoGpa;
inline constexpr std::uint64_t kMultibootInfoGpa = kBootInfoGpa + 0x100;
inline constexpr std::uint64_t kMemoryMapGpa = kBootInfoGpa + 0x200;
inline constexpr std::uint64_t kMultibootMapGpa = kBootInfoGpa + 0x300;
inline constexpr std::uint64_t kGdtGpa = kBootInfoGpa + 0x400;
inline constexpr std::uint64_t kCommandLineGpa = kBootInfoGpa + 0x1000;
inline constexpr std::uint64_t kPageTablesGpa = kBootInfoGpa + 0x2000;
inline constexpr std::size_t kMostCommandLine = 0xfff;  // and a NUL

/// The GDT at kGdtGpa.
inline constexpr std::uint16_t kGdtEntries = 4;
inline constexpr std::uint16_t kCode64Selector = 0x08;
inline constexpr std::uint16_t kDataSelector = 0x10;
inline constexpr std::uint16_t kCode32Selector = 0x18;

/// Fills the page. Throws a Failure for a command line that is too long.
void write_boot_info(std::span<std::byte> page, std::uint64_t ram_bytes,
                     const std::string& command_line);

}  // namespace ipidefer::vmm
