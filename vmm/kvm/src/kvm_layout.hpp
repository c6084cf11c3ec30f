// SPDX-License-Identifier: GPL-2.0-or-later
// Structures of linux/kvm.h that end in an array of open length. As C++, some
// versions of that header give them another size than in C, since an empty
// struct is a byte long, and with it another ioctl number. Here they are
// without the array, which follows.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <span>
#include <vector>

namespace ipidefer::vmm {

/// struct kvm_cpuid2, api.rst 4.46 and 4.20.
struct CpuidHeader {
    std::uint32_t entries;
    std::uint32_t padding;
};
static_assert(sizeof(CpuidHeader) == 8);
static_assert(sizeof(kvm_cpuid_entry2) == 40);
inline constexpr unsigned long kGetSupportedCpuid =
    _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, sizeof(CpuidHeader));
inline constexpr unsigned long kSetCpuid2 =
    _IOC(_IOC_WRITE, KVMIO, 0x90, sizeof(CpuidHeader));

/// struct kvm_stats_desc, api.rst 4.133; the name follows.
struct StatsDescription {
    std::uint32_t flags;
    std::int16_t exponent;
    std::uint16_t size;
    std::uint32_t offset;
    std::uint32_t bucket_size;
};
static_assert(sizeof(StatsDescription) == 16);

/// A CpuidHeader and room for entries, as one object for the kernel.
class CpuidList {
  public:
    explicit CpuidList(std::uint32_t entries)
        : storage_((sizeof(CpuidHeader) + entries * sizeof(kvm_cpuid_entry2)) /
                   sizeof(std::uint64_t))
    {
        header().entries = entries;
    }
    [[nodiscard]] CpuidHeader& header() noexcept
    {
        return *reinterpret_cast<CpuidHeader*>(storage_.data());
    }
    [[nodiscard]] std::span<kvm_cpuid_entry2> entries() noexcept
    {
        return {reinterpret_cast<kvm_cpuid_entry2*>(storage_.data() + 1),
                header().entries};
    }

  private:
    std::vector<std::uint64_t> storage_;
};

}  // namespace ipidefer::vmm
