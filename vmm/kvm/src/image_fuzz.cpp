// SPDX-License-Identifier: GPL-2.0-or-later
// Guest images, as hostile as a guest's author may be: what read_image() does
// not refuse lies in RAM and in the file, and load_image() writes nowhere else
// (the sanitizers watch). Input: one byte that chooses, then the difference
// from a valid image, so that the fuzzer starts behind the first check.
#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/failure.hpp"
#include "vmm/kvm/src/boot_info.hpp"
#include "vmm/kvm/src/image.hpp"

namespace {

using namespace ipidefer::vmm;
using ipidefer::Failure;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kRam = kFirstImageGpa + 0x1000;
constexpr std::size_t kNotes = 0xc0;
constexpr std::size_t kCode = 0xe0;
constexpr std::size_t kSize = 0x100;
constexpr std::uint32_t kPvhNote[] = {4, 4, 18, 0x006e6558 /* "Xen" */,
                                      kFirstImageGpa + 8};

void require(bool condition)
{
    if (!condition) std::abort();
}

template <typename Ehdr, typename Phdr>
Bytes valid_elf(unsigned char bits, std::uint16_t machine)
{
    static_assert(sizeof(Ehdr) + 2 * sizeof(Phdr) <= kNotes);
    Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = bits;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = machine;
    header.e_entry = kFirstImageGpa;
    header.e_phoff = sizeof(Ehdr);
    header.e_phentsize = sizeof(Phdr);
    header.e_phnum = 2;
    Phdr load{};
    load.p_type = PT_LOAD;
    load.p_offset = kCode;
    load.p_filesz = kSize - kCode;
    load.p_memsz = 2 * load.p_filesz;
    load.p_paddr = kFirstImageGpa;
    Phdr note{};
    note.p_type = PT_NOTE;
    note.p_offset = kNotes;
    note.p_filesz = sizeof(kPvhNote);

    Bytes file(kSize);
    const auto put = [&](std::size_t at, const auto& value) {
        std::memcpy(file.data() + at, &value, sizeof(value));
    };
    put(0, header);
    put(sizeof(header), load);
    put(sizeof(header) + sizeof(load), note);
    put(kNotes, kPvhNote);
    return file;
}

bool inside(std::uint64_t at, std::uint64_t bytes, std::uint64_t size)
{
    return at <= size && bytes <= size - at;
}

void expect_inside(const Image& image, const Bytes& file)
{
    require(image.start < kRam);
    for (const auto& segment : image.segments) {
        require(segment.bytes.size() <= kRam);
        require(segment.zeroes <= kRam);
        require(
            inside(segment.gpa, segment.bytes.size() + segment.zeroes, kRam));
        require(segment.gpa >= kFirstImageGpa ||
                (segment.bytes.empty() && segment.zeroes == 0));
        require(segment.bytes.empty() ||
                (segment.bytes.data() >= file.data() &&
                 segment.bytes.data() + segment.bytes.size() <=
                     file.data() + file.size()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    if (size == 0) return 0;
    Bytes file;
    switch (data[0] % 3) {
        case 0:
            file = valid_elf<Elf64_Ehdr, Elf64_Phdr>(ELFCLASS64, EM_X86_64);
            break;
        case 1:
            file = valid_elf<Elf32_Ehdr, Elf32_Phdr>(ELFCLASS32, EM_386);
            break;
        default:  // as it comes
            break;
    }
    const bool untouched = !file.empty() && size == 1;
    file.resize(std::max(file.size(), size - 1));
    for (std::size_t i = 1; i < size; ++i)
        file[i - 1] ^= static_cast<std::byte>(data[i]);

    try {
        const Image image = read_image(file, kRam, kFirstImageGpa);
        expect_inside(image, file);
        Bytes ram(kRam);
        load_image(image, ram);
        require(!untouched || image.entry == Entry::kPvh);
    } catch (const Failure&) {
        require(!untouched);
    }
    return 0;
}
