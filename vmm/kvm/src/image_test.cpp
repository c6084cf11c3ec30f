// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/image.hpp"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"
#include "vmm/kvm/src/boot_info.hpp"
#include "vmm/kvm/src/cpu_state.hpp"

namespace ipidefer::vmm {
namespace {

constexpr std::uint64_t kRam = 16u << 20;
using Bytes = std::vector<std::byte>;

template <typename T>
void put(Bytes& file, std::size_t at, const T& value)
{
    if (file.size() < at + sizeof(T)) file.resize(at + sizeof(T));
    std::memcpy(file.data() + at, &value, sizeof(T));
}

/// One segment of 16 bytes at 1 MiB, and a note if asked for.
struct Elf64 {
    Elf64_Ehdr header{};
    Elf64_Phdr load{};
    Elf64_Phdr note{};
    bool pvh = false;
    bool multiboot = false;

    Elf64()
    {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_type = ET_EXEC;
        header.e_machine = EM_X86_64;
        header.e_entry = 0x10'0000;
        header.e_phoff = sizeof(header);
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = 2;
        load.p_type = PT_LOAD;
        load.p_offset = 0x200;
        load.p_filesz = 16;
        load.p_memsz = 32;
        load.p_paddr = 0x10'0000;
        note.p_type = PT_NULL;
    }
    [[nodiscard]] Bytes bytes()
    {
        Bytes file(0x300);
        if (pvh) {
            note.p_type = PT_NOTE;
            note.p_offset = 0x280;
            note.p_filesz = 20;
            put(file, 0x280, std::uint32_t{4});
            put(file, 0x284, std::uint32_t{4});
            put(file, 0x288, std::uint32_t{18});
            put(file, 0x28c, std::uint32_t{0x00'6e65'58});  // "Xen"
            put(file, 0x290, std::uint32_t{0x10'0008});
        }
        if (multiboot) {
            put(file, 0x204, std::uint32_t{0x1bad'b002});
            put(file, 0x208, std::uint32_t{0});
            put(file, 0x20c, std::uint32_t{0xe452'4ffe});
        }
        put(file, 0, header);
        put(file, sizeof(header), load);
        put(file, sizeof(header) + sizeof(load), note);
        return file;
    }
};

std::string refusal(const Bytes& file)
{
    return refusal_of([&] { return read_image(file, kRam, 0x10'0000); });
}

TEST(Image, PlainElf64EntersInLongMode)
{
    const auto file = Elf64{}.bytes();
    const auto image = read_image(file, kRam, 0);
    EXPECT_EQ(image.entry, Entry::kLong64);
    ASSERT_EQ(image.segments.size(), 1u);
    EXPECT_EQ(image.segments[0].gpa, 0x10'0000u);
    EXPECT_EQ(image.segments[0].bytes.size(), 16u);
    EXPECT_EQ(image.segments[0].zeroes, 16u);
}

TEST(Image, PvhNoteNamesTheEntry)
{
    Elf64 elf;
    elf.pvh = true;
    const auto file = elf.bytes();
    const auto image = read_image(file, kRam, 0);
    EXPECT_EQ(image.entry, Entry::kPvh);
    EXPECT_EQ(image.start, 0x10'0008u);
}

TEST(Image, MultibootHeaderIsFound)
{
    Elf64 elf;
    elf.multiboot = true;
    const auto file = elf.bytes();
    EXPECT_EQ(read_image(file, kRam, 0).entry, Entry::kMultiboot);
}

TEST(Image, AnythingElseIsFlat)
{
    const Bytes file(100, std::byte{0xf4});
    const auto image = read_image(file, kRam, 0x20'0000);
    EXPECT_EQ(image.entry, Entry::kProtected32);
    EXPECT_EQ(image.start, 0x20'0000u);
    EXPECT_EQ(image.segments[0].bytes.size(), 100u);
}

TEST(Image, LoadingCopiesAndClears)
{
    auto file = Elf64{}.bytes();
    put(file, 0x200, std::uint64_t{0x1122'3344'5566'7788});
    std::vector<std::byte> ram(kRam, std::byte{0xaa});
    load_image(read_image(file, kRam, 0), ram);
    EXPECT_EQ(ram[0x10'0000], std::byte{0x88});
    EXPECT_EQ(ram[0x10'001f], std::byte{0});
    EXPECT_EQ(ram[0x10'0020], std::byte{0xaa});
    EXPECT_EQ(ram[0xf'ffff], std::byte{0xaa});
}

TEST(Image, RefusalsNameTheValueAndTheLimit)
{
    EXPECT_NE(refusal({}), "");
    Elf64 elf;
    elf.load.p_paddr = kRam - 31;
    EXPECT_EQ(refusal(elf.bytes()),
              "guest image: segment 0 at 0xffffe1, 0x20 bytes, RAM ends at "
              "0x1000000");
    elf = {};
    elf.load.p_paddr = ~0ull - 7;
    EXPECT_NE(refusal(elf.bytes()), "");
    elf = {};
    elf.load.p_paddr = 0x1000;
    EXPECT_NE(refusal(elf.bytes()).find("below 0x8000"), std::string::npos);
    elf = {};
    elf.load.p_offset = ~0ull - 7;
    EXPECT_NE(refusal(elf.bytes()).find("beyond the file"), std::string::npos);
    elf = {};
    elf.load.p_memsz = 8;
    EXPECT_NE(refusal(elf.bytes()), "");
    elf = {};
    elf.header.e_type = ET_DYN;
    EXPECT_NE(refusal(elf.bytes()).find("ELF type 3"), std::string::npos);
    elf = {};
    elf.header.e_machine = EM_ARM;
    EXPECT_NE(refusal(elf.bytes()), "");
    elf = {};
    elf.header.e_phnum = 65;
    EXPECT_NE(refusal(elf.bytes()).find("65"), std::string::npos);
    elf = {};
    elf.header.e_phoff = 0x2f0;
    EXPECT_NE(refusal(elf.bytes()), "");
    elf = {};
    elf.header.e_entry = kRam;
    EXPECT_NE(refusal(elf.bytes()).find("entry at"), std::string::npos);
    elf = {};
    elf.header.e_ident[EI_DATA] = ELFDATA2MSB;
    EXPECT_NE(refusal(elf.bytes()).find("encoding 2"), std::string::npos);
    elf = {};
    elf.load.p_type = PT_GNU_STACK;
    EXPECT_NE(refusal(elf.bytes()).find("none of its 2 program headers"),
              std::string::npos);
    elf = {};
    elf.header.e_entry = 0x10'0020;
    EXPECT_EQ(refusal(elf.bytes()),
              "guest image: entry at 0x100020 is in no segment");
    // Zeroes alone over the page tables.
    elf = {};
    elf.note.p_type = PT_LOAD;
    elf.note.p_memsz = 0x8000;
    EXPECT_NE(refusal(elf.bytes()).find("below 0x8000"), std::string::npos);
    Bytes flat(100, std::byte{1});
    EXPECT_THROW((void)read_image(flat, kRam, kRam - 99), Failure);
}

TEST(Image, NoTruncationIsTooShortToBeRefused)
{
    Elf64 elf;
    elf.pvh = true;
    const auto file = elf.bytes();
    for (std::size_t n = SELFMAG + 1; n < 0x294; ++n) {
        const Bytes cut(file.begin(),
                        file.begin() + static_cast<std::ptrdiff_t>(n));
        if (n < EI_NIDENT) continue;  // too short for ELF, so flat
        EXPECT_NE(refusal(cut), "") << n;
    }
}

TEST(EntryState, IsWhatEachProtocolPromises)
{
    Image image;
    image.start = 0x12'3456;
    image.entry = Entry::kLong64;
    auto state = entry_state(image);
    EXPECT_EQ(state.regs.rip, 0x12'3456u);
    EXPECT_EQ(state.regs.rdi, kStartInfoGpa);
    EXPECT_EQ(state.sregs.cs.l, 1);
    EXPECT_EQ(state.sregs.cr3, kPageTablesGpa);
    image.entry = Entry::kMultiboot;
    state = entry_state(image);
    EXPECT_EQ(state.regs.rax, 0x2bad'b002u);
    EXPECT_EQ(state.regs.rbx, kMultibootInfoGpa);
    EXPECT_EQ(state.sregs.cr0 & 1u << 31, 0u);
    image.entry = Entry::kPvh;
    EXPECT_EQ(entry_state(image).regs.rbx, kStartInfoGpa);
    state = sipi_state(0x9a);
    EXPECT_EQ(state.sregs.cs.base, 0x9'a000u);
    EXPECT_EQ(state.sregs.cs.selector, 0x9a00u);
    EXPECT_EQ(state.sregs.cr0 & 1, 0u);
}

TEST(BootInfo, CommandLineHasALimit)
{
    std::vector<std::byte> page(kBootInfoBytes);
    write_boot_info(page, kRam, "cpus=2");
    EXPECT_EQ(std::memcmp(page.data() + (kCommandLineGpa - kBootInfoGpa),
                          "cpus=2", 7),
              0);
    EXPECT_THROW(write_boot_info(page, kRam, std::string(4096, 'x')), Failure);
}

}  // namespace
}  // namespace ipidefer::vmm
