// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/boot_info.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/failure.hpp"

namespace ipidefer::vmm {
namespace {

/// Xen's hvm_start_info, version 1.
struct StartInfo {
    std::uint32_t magic = 0x336ec578;
    std::uint32_t version = 1;
    std::uint32_t flags = 0;
    std::uint32_t modules = 0;
    std::uint64_t module_list = 0;
    std::uint64_t command_line = kCommandLineGpa;
    std::uint64_t rsdp = 0;
    std::uint64_t memory_map = kMemoryMapGpa;
    std::uint32_t memory_map_entries = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);

struct MapEntry {
    std::uint64_t gpa;
    std::uint64_t bytes;
    std::uint32_t type;  // 1: RAM
    std::uint32_t reserved;
};
static_assert(sizeof(MapEntry) == 24);

/// Multiboot 0.6.96, 3.3, as far as it is filled in.
struct MultibootInfo {
    std::uint32_t flags = 1u << 0 | 1u << 2 | 1u << 6;
    std::uint32_t lower_kib = 640;
    std::uint32_t upper_kib = 0;
    std::uint32_t boot_device = 0;
    std::uint32_t command_line = kCommandLineGpa;
    std::uint32_t modules[2] = {};
    std::uint32_t symbols[4] = {};
    std::uint32_t map_bytes = 0;
    std::uint32_t map = kMultibootMapGpa;
};
static_assert(offsetof(MultibootInfo, map_bytes) == 44);

struct [[gnu::packed]] MultibootMapEntry {
    std::uint32_t size;  // of the rest
    std::uint64_t gpa;
    std::uint64_t bytes;
    std::uint32_t type;
};
static_assert(sizeof(MultibootMapEntry) == 24);

// Accessed bits are set: the GDT is read-only to the processor too.
constexpr std::uint64_t kGdt[kGdtEntries] = {
    0,
    0x00af'9b00'0000'ffff,  // code, 64 bits
    0x00cf'9300'0000'ffff,  // data
    0x00cf'9b00'0000'ffff,  // code, 32 bits
};

// Present, writable, user, accessed, dirty. SDM vol. 3A 4.5.
constexpr std::uint64_t kTableFlags = 0x27;
constexpr std::uint64_t kLargePageFlags = 0xe7;
constexpr unsigned kDirectories = 4;  // of 1 GiB each
constexpr std::uint64_t kLargePage = 2ull << 20;
constexpr std::uint64_t kPage = 4096;

class Writer {
  public:
    Writer(std::span<std::byte> memory, std::uint64_t gpa)
        : memory_{memory}, gpa_{gpa}
    {
    }

    template <typename T>
    void put(std::uint64_t gpa, const T& value)
    {
        const auto to = memory_.subspan(gpa - gpa_, sizeof(T));
        std::memcpy(to.data(), &value, sizeof(T));
    }

  private:
    std::span<std::byte> memory_;
    std::uint64_t gpa_;
};

}  // namespace

void write_boot_info(std::span<std::byte> page, std::uint64_t ram_bytes,
                     const std::string& command_line)
{
    if (command_line.size() > kMostCommandLine)
        throw Failure{Exit::kCannotRun,
                      "command line of " + std::to_string(command_line.size()) +
                          " bytes, limit " + std::to_string(kMostCommandLine)};
    Writer writer{page, kBootInfoGpa};
    StartInfo start;
    start.memory_map_entries = 1;
    writer.put(kStartInfoGpa, start);
    writer.put(kMemoryMapGpa, MapEntry{0, ram_bytes, 1, 0});

    MultibootInfo multiboot;
    multiboot.upper_kib = static_cast<std::uint32_t>((ram_bytes >> 10) - 1024);
    multiboot.map_bytes = sizeof(MultibootMapEntry);
    writer.put(kMultibootInfoGpa, multiboot);
    writer.put(
        kMultibootMapGpa,
        MultibootMapEntry{sizeof(MultibootMapEntry) - 4, 0, ram_bytes, 1});
    for (std::size_t i = 0; i < command_line.size(); ++i)
        writer.put(kCommandLineGpa + i, command_line[i]);
    for (unsigned i = 0; i < kGdtEntries; ++i)
        writer.put(kGdtGpa + 8u * i, kGdt[i]);
}

void write_page_tables(std::span<std::byte> ram)
{
    Writer writer{ram, 0};
    const std::uint64_t pointers = kPageTablesGpa + kPage;
    writer.put(kPageTablesGpa, pointers | kTableFlags);
    for (unsigned d = 0; d < kDirectories; ++d) {
        const std::uint64_t directory = pointers + kPage * (1 + d);
        writer.put(pointers + 8 * d, directory | kTableFlags);
        for (std::uint64_t i = 0; i < 512; ++i)
            writer.put(directory + 8 * i,
                       (512 * d + i) * kLargePage | kLargePageFlags);
    }
}

}  // namespace ipidefer::vmm
