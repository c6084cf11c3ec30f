// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest finds at kBootInfoGpa, read-only to it: the PVH start info,
// multiboot information, a memory map, the command line; and for those that
// enter in long mode a GDT. Their page tables are in RAM: a processor with
// nested paging treats each walk as a write (AMD APM vol. 2, 15.25.5), and from
// a read-only slot KVM would have to emulate every instruction.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "vmm/kvm/src/memory.hpp"

namespace ipidefer::vmm {

// Guest-physical addresses.
inline constexpr std::uint64_t kStartInfoGpa = kBootInfoGpa;
inline constexpr std::uint64_t kMultibootInfoGpa = kBootInfoGpa + 0x100;
inline constexpr std::uint64_t kMemoryMapGpa = kBootInfoGpa + 0x200;
inline constexpr std::uint64_t kMultibootMapGpa = kBootInfoGpa + 0x300;
inline constexpr std::uint64_t kGdtGpa = kBootInfoGpa + 0x400;
inline constexpr std::uint64_t kCommandLineGpa = kBootInfoGpa + 0x1000;
inline constexpr std::uint64_t kPageTablesGpa = 0x1000;  // six pages of RAM
inline constexpr std::uint64_t kFirstImageGpa = 0x8000;  // images lie above
inline constexpr std::size_t kMostCommandLine = 0xfff;   // and a NUL

/// The GDT at kGdtGpa.
inline constexpr std::uint16_t kGdtEntries = 4;
inline constexpr std::uint16_t kCode64Selector = 0x08;
inline constexpr std::uint16_t kDataSelector = 0x10;
inline constexpr std::uint16_t kCode32Selector = 0x18;

/// Fills the page. Throws a Failure for a command line that is too long.
void write_boot_info(std::span<std::byte> page, std::uint64_t ram_bytes,
                     const std::string& command_line);

/// The first 4 GiB, one to one, for all rings, as large pages.
void write_page_tables(std::span<std::byte> ram);

}  // namespace ipidefer::vmm
