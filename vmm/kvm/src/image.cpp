// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/image.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <sstream>
#include <type_traits>

#include "base/failure.hpp"
#include "vmm/kvm/src/boot_info.hpp"

namespace ipidefer::vmm {
namespace {

constexpr std::uint32_t kMultibootMagic = 0x1badb002;
constexpr std::size_t kMultibootSearch = 8192;  // Multiboot 0.6.96, 3.1
constexpr std::uint32_t kXenPhys32Entry = 18;   // Xen's elfnote.h
constexpr char kXenName[] = "Xen";
constexpr unsigned kMostSegments = 64;

std::string hex(std::uint64_t value)
{
    std::ostringstream text;
    text << "0x" << std::hex << value;
    return text.str();
}

[[noreturn]] void refuse(const std::string& why)
{
    throw Failure{Exit::kCannotRun, "guest image: " + why};
}

bool within(std::uint64_t at, std::uint64_t bytes, std::uint64_t size)
{
    return at <= size && bytes <= size - at;
}

/// A structure of the file, wherever it lies.
template <typename T>
T read_at(std::span<const std::byte> file, std::uint64_t at, const char* what)
{
    static_assert(std::is_trivially_copyable_v<T>);
    if (!within(at, sizeof(T), file.size()))
        refuse(std::string{what} + " at " + hex(at) + ", the file ends at " +
               hex(file.size()));
    T value;
    std::memcpy(&value, file.data() + at, sizeof(T));
    return value;
}

/// The entry that a PVH note among `notes` names.
std::optional<std::uint64_t> pvh_entry(std::span<const std::byte> notes)
{
    const auto round_up = [](std::uint64_t n) { return (n + 3) & ~3ull; };
    std::uint64_t at = 0;
    while (within(at, sizeof(Elf64_Nhdr), notes.size())) {
        const auto note = read_at<Elf64_Nhdr>(notes, at, "note");
        const std::uint64_t name_at = at + sizeof(note);
        const std::uint64_t data_at = name_at + round_up(note.n_namesz);
        if (!within(data_at, note.n_descsz, notes.size())) return std::nullopt;
        if (note.n_type == kXenPhys32Entry &&
            note.n_namesz == sizeof(kXenName) &&
            std::memcmp(notes.data() + name_at, kXenName, sizeof(kXenName)) ==
                0) {
            if (note.n_descsz >= 8)
                return read_at<std::uint64_t>(notes, data_at, "PVH entry");
            if (note.n_descsz >= 4)
                return read_at<std::uint32_t>(notes, data_at, "PVH entry");
        }
        at = data_at + round_up(note.n_descsz);
    }
    return std::nullopt;
}

bool has_multiboot_header(std::span<const std::byte> file)
{
    const std::size_t end = std::min(file.size(), kMultibootSearch);
    for (std::size_t at = 0; at + 12 <= end; at += 4) {
        std::uint32_t header[3];
        std::memcpy(header, file.data() + at, sizeof(header));
        if (header[0] == kMultibootMagic &&
            header[0] + header[1] + header[2] == 0)
            return true;
    }
    return false;
}

template <typename Ehdr, typename Phdr>
Image read_elf(std::span<const std::byte> file, std::uint64_t ram_bytes,
               std::uint16_t machine, Entry plain)
{
    const auto header = read_at<Ehdr>(file, 0, "ELF header");
    if (header.e_ident[EI_DATA] != ELFDATA2LSB)
        refuse("ELF data encoding " + std::to_string(header.e_ident[EI_DATA]) +
               ", only little-endian (1) can be loaded");
    if (header.e_type != ET_EXEC)
        refuse("ELF type " + std::to_string(header.e_type) +
               ", only executables (2) can be loaded");
    if (header.e_machine != machine)
        refuse("ELF machine " + std::to_string(header.e_machine) + ", not " +
               std::to_string(machine));
    if (header.e_phentsize != sizeof(Phdr))
        refuse("program headers of " + std::to_string(header.e_phentsize) +
               " bytes, not " + std::to_string(sizeof(Phdr)));
    if (header.e_phnum == 0 || header.e_phnum > kMostSegments)
        refuse(std::to_string(header.e_phnum) +
               " program headers, not within 1 and " +
               std::to_string(kMostSegments));

    Image image;
    image.entry = plain;
    image.start = header.e_entry;
    std::optional<std::uint64_t> pvh;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        const std::uint64_t at =
            std::uint64_t{header.e_phoff} + i * sizeof(Phdr);
        const auto segment = read_at<Phdr>(file, at, "program header");
        if (segment.p_type != PT_LOAD && segment.p_type != PT_NOTE) continue;
        if (!within(segment.p_offset, segment.p_filesz, file.size()))
            refuse("segment " + std::to_string(i) + " ends beyond the file, " +
                   hex(file.size()));
        const auto bytes = file.subspan(segment.p_offset, segment.p_filesz);
        if (segment.p_type == PT_NOTE) {
            if (!pvh) pvh = pvh_entry(bytes);
            continue;
        }
        if (segment.p_memsz < segment.p_filesz)
            refuse("segment " + std::to_string(i) + " has " +
                   hex(segment.p_filesz) + " bytes for a memory of " +
                   hex(segment.p_memsz));
        if (!within(segment.p_paddr, segment.p_memsz, ram_bytes))
            refuse("segment " + std::to_string(i) + " at " +
                   hex(segment.p_paddr) + ", " + hex(segment.p_memsz) +
                   " bytes, RAM ends at " + hex(ram_bytes));
        image.segments.push_back(
            {segment.p_paddr, bytes, segment.p_memsz - segment.p_filesz});
    }
    if (image.segments.empty())
        refuse("none of its " + std::to_string(header.e_phnum) +
               " program headers is one to load");
    if (pvh) {
        image.entry = Entry::kPvh;
        image.start = *pvh;
    } else if (has_multiboot_header(file)) {
        image.entry = Entry::kMultiboot;
    }
    return image;
}

}  // namespace

const char* name(Entry entry) noexcept
{
    switch (entry) {
        case Entry::kProtected32:
            return "protected32";
        case Entry::kPvh:
            return "pvh";
        case Entry::kMultiboot:
            return "multiboot";
        case Entry::kLong64:
            return "long64";
    }
    return "?";
}

Image read_image(std::span<const std::byte> file, std::uint64_t ram_bytes,
                 std::uint64_t flat_gpa)
{
    if (file.empty()) refuse("the file is empty");
    Image image;
    if (file.size() >= EI_NIDENT &&
        std::memcmp(file.data(), ELFMAG, SELFMAG) == 0) {
        const auto bits = static_cast<unsigned char>(file[EI_CLASS]);
        if (bits == ELFCLASS64)
            image = read_elf<Elf64_Ehdr, Elf64_Phdr>(file, ram_bytes, EM_X86_64,
                                                     Entry::kLong64);
        else if (bits == ELFCLASS32)
            image = read_elf<Elf32_Ehdr, Elf32_Phdr>(file, ram_bytes, EM_386,
                                                     Entry::kProtected32);
        else
            refuse("ELF class " + std::to_string(bits) + ", not 1 or 2");
    } else {
        if (!within(flat_gpa, file.size(), ram_bytes))
            refuse(hex(file.size()) + " bytes at " + hex(flat_gpa) +
                   ", RAM ends at " + hex(ram_bytes));
        image.start = flat_gpa;
        image.segments.push_back({flat_gpa, file, 0});
    }
    for (const auto& segment : image.segments)
        if (segment.gpa < kFirstImageGpa &&
            (!segment.bytes.empty() || segment.zeroes != 0))
            refuse("segment at " + hex(segment.gpa) +
                   ", page tables and such lie below " + hex(kFirstImageGpa));
    if (image.start >= ram_bytes)
        refuse("entry at " + hex(image.start) + ", RAM ends at " +
               hex(ram_bytes));
    if (std::ranges::none_of(image.segments, [&](const Segment& segment) {
            return image.start >= segment.gpa &&
                   image.start - segment.gpa <
                       segment.bytes.size() + segment.zeroes;
        }))
        refuse("entry at " + hex(image.start) + " is in no segment");
    return image;
}

void load_image(const Image& image, std::span<std::byte> ram)
{
    for (const auto& segment : image.segments) {
        const auto to = ram.subspan(segment.gpa);
        std::ranges::copy(segment.bytes, to.begin());
        std::ranges::fill(to.subspan(segment.bytes.size(), segment.zeroes),
                          std::byte{0});
    }
}

}  // namespace ipidefer::vmm
