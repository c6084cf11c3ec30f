// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/memory.hpp"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <string>

#include "base/failure.hpp"

namespace ipidefer::vmm {
namespace {

bool inside(std::uint64_t gpa, std::size_t bytes, std::uint64_t base,
            std::size_t size) noexcept
{
    return gpa >= base && bytes <= size && gpa - base <= size - bytes;
}

void add_region(int vm, std::uint32_t slot, std::uint32_t flags,
                std::uint64_t gpa, std::span<std::byte> memory)
{
    kvm_userspace_memory_region region{};
    region.slot = slot;
    region.flags = flags;
    region.guest_phys_addr = gpa;
    region.memory_size = memory.size();
    region.userspace_addr = reinterpret_cast<std::uint64_t>(memory.data());
    if (::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        throw system_failure("KVM_SET_USER_MEMORY_REGION, slot " +
                             std::to_string(slot));
}

}  // namespace

Mapping::Mapping(std::size_t bytes)
    : at_{::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)},
      bytes_{bytes}
{
    if (at_ == MAP_FAILED)
        throw system_failure("mapping " + std::to_string(bytes) +
                             " bytes of guest memory");
}

Mapping::~Mapping() { ::munmap(at_, bytes_); }

GuestMemory::GuestMemory(std::size_t ram_bytes)
    : ram_{ram_bytes}, boot_info_{kBootInfoBytes}
{
}

void GuestMemory::attach(int vm) const
{
    add_region(vm, 0, 0, 0, ram());
    add_region(vm, 1, KVM_MEM_READONLY, kBootInfoGpa, boot_info());
}

std::uint32_t* GuestMemory::writable_word(std::uint64_t gpa) const noexcept
{
    if (gpa % alignof(std::uint32_t) != 0 ||
        !inside(gpa, sizeof(std::uint32_t), 0, ram().size()))
        return nullptr;
    return reinterpret_cast<std::uint32_t*>(ram().data() + gpa);
}

bool GuestMemory::copy_from(std::uint64_t gpa,
                            std::span<std::byte> to) const noexcept
{
    const std::byte* from = nullptr;
    if (inside(gpa, to.size(), 0, ram().size()))
        from = ram().data() + gpa;
    else if (inside(gpa, to.size(), kBootInfoGpa, boot_info().size()))
        from = boot_info().data() + (gpa - kBootInfoGpa);
    else
        return false;
    // A vCPU may store to these bytes while we read. Volatile, so that the
    // compiler reads each byte exactly once.
    for (std::size_t i = 0; i < to.size(); ++i)
        to[i] = static_cast<const volatile std::byte&>(from[i]);
    return true;
}

}  // namespace ipidefer::vmm
