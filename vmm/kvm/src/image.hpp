// SPDX-License-Identifier: GPL-2.0-or-later
// Guest images: ELF (System V ABI, 32 and 64 bits, x86), and flat ones. From
// bytes to a plan of what goes where and how the first vCPU enters it. Pure;
// the file is as hostile as the guest.
//
// Not handled: relocations, multiboot's own address fields, modules, bzImage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ipidefer::vmm {

/// In what state the first vCPU enters the image.
enum class Entry {
    kProtected32,  // flat segments, no paging; EBX: start info as for PVH
    kPvh,          // the same; what a Xen PVH note asks for
    kMultiboot,    // the same; EAX: magic, EBX: multiboot information
    kLong64,       // 4 GiB identity-mapped for all rings; RDI: start info
};

[[nodiscard]] const char* name(Entry entry) noexcept;

struct Segment {
    std::uint64_t gpa = 0;
    std::span<const std::byte> bytes{};  // of the file
    std::uint64_t zeroes = 0;            // after them
};

struct Image {
    Entry entry = Entry::kProtected32;
    std::uint64_t start = 0;  // guest-physical
    std::vector<Segment> segments;
};

/// ELF if it has ELF's magic, else flat: loaded to `flat_gpa` and entered
/// there. All segments lie within RAM of `ram_bytes`. Throws a Failure that
/// names the value and the limit. The result refers to `file`.
[[nodiscard]] Image read_image(std::span<const std::byte> file,
                               std::uint64_t ram_bytes, std::uint64_t flat_gpa);

/// Copies the segments; RAM is as read_image() was told.
void load_image(const Image& image, std::span<std::byte> ram);

}  // namespace ipidefer::vmm
