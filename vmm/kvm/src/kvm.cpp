// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/kvm.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "vmm/kvm/src/kvm_layout.hpp"

namespace ipidefer::vmm {
namespace {

constexpr unsigned kMostCpuidEntries = 256;

struct Capability {
    int number;
    const char* name;
    bool needed;
};

constexpr Capability kCapabilities[] = {
    {KVM_CAP_USER_MEMORY, "user-memory", true},
    {KVM_CAP_SET_TSS_ADDR, "tss-addr", true},
    {KVM_CAP_EXT_CPUID, "ext-cpuid", true},
    {KVM_CAP_IMMEDIATE_EXIT, "immediate-exit", true},
    {KVM_CAP_USER_NMI, "user-nmi", true},
    {KVM_CAP_VCPU_EVENTS, "vcpu-events", true},
    {KVM_CAP_X86_USER_SPACE_MSR, "user-space-msr", true},
    {KVM_CAP_X86_MSR_FILTER, "msr-filter", true},
    {KVM_CAP_READONLY_MEM, "readonly-mem", true},
    {KVM_CAP_BINARY_STATS_FD, "binary-stats", false},
};

bool has(int fd, int capability)
{
    return ::ioctl(fd, KVM_CHECK_EXTENSION, capability) > 0;
}

}  // namespace

const char* name(Backend backend) noexcept
{
    switch (backend) {
        case Backend::kWhole:
            return "whole";
        case Backend::kEmulating:
            return "emulating";
        case Backend::kUnknown:
            return "unknown";
    }
    return "?";
}

Backend backend_of(const std::string& sys_module)
{
    namespace fs = std::filesystem;
    std::error_code error;
    for (const char* module : {"kvm_intel", "kvm_amd"})
        if (fs::exists(fs::path{sys_module} / module, error))
            return Backend::kWhole;
    if (fs::exists(fs::path{sys_module} / "kvm_pvm", error))
        return Backend::kEmulating;
    return Backend::kUnknown;
}

Probe probe_kvm(const std::string& device)
{
    Probe probe;
    const UniqueFd fd{::open(device.c_str(), O_RDWR | O_CLOEXEC)};
    if (!fd) {
        probe.line = "kvm: no: " + device + ": " + std::strerror(errno);
        return probe;
    }
    const int version = ::ioctl(fd.get(), KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        probe.line = "kvm: no: API version " + std::to_string(version) +
                     ", not " + std::to_string(KVM_API_VERSION);
        return probe;
    }
    probe.present = true;
    probe.backend = backend_of("/sys/module");
    std::string found;
    std::string missing;
    for (const auto& capability : kCapabilities) {
        const bool there = has(fd.get(), capability.number);
        if (there) found += std::string{" "} + capability.name;
        if (!there && capability.needed)
            missing += std::string{" "} + capability.name;
    }
    probe.sufficient = missing.empty();
    probe.line = std::string{"kvm: "} +
                 (probe.sufficient ? "yes" : "not sufficient") +
                 "; backend: " + name(probe.backend) + "; has:" + found +
                 (missing.empty() ? "" : "; lacks:" + missing);
    return probe;
}

Kvm::Kvm() : probe_{probe_kvm()}
{
    if (!probe_.sufficient) throw Failure{Exit::kNotPossible, probe_.line};
    fd_ = UniqueFd{::open(kKvmDevice, O_RDWR | O_CLOEXEC)};
    if (!fd_) throw system_failure(kKvmDevice);
}

UniqueFd Kvm::create_vm() const
{
    UniqueFd vm{::ioctl(fd_.get(), KVM_CREATE_VM, 0)};
    if (!vm) throw system_failure("KVM_CREATE_VM");
    return vm;
}

std::size_t Kvm::run_bytes() const
{
    const int bytes = ::ioctl(fd_.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
    if (bytes < static_cast<int>(sizeof(kvm_run)))
        throw system_failure("KVM_GET_VCPU_MMAP_SIZE");
    return static_cast<std::size_t>(bytes);
}

unsigned Kvm::most_vcpus() const
{
    return static_cast<unsigned>(std::max(
        1, ::ioctl(fd_.get(), KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS)));
}

std::vector<kvm_cpuid_entry2> Kvm::supported_cpuid() const
{
    CpuidList list{kMostCpuidEntries};
    if (::ioctl(fd_.get(), kGetSupportedCpuid, &list.header()) < 0)
        throw system_failure("KVM_GET_SUPPORTED_CPUID");
    const auto entries = list.entries();
    return {entries.begin(), entries.end()};
}

void trap_msrs(int vm, const std::vector<std::uint32_t>& msrs)
{
    kvm_enable_cap cap{};
    cap.cap = KVM_CAP_X86_USER_SPACE_MSR;
    cap.args[0] = KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |
                  KVM_MSR_EXIT_REASON_FILTER;
    if (::ioctl(vm, KVM_ENABLE_CAP, &cap) < 0)
        throw system_failure("KVM_CAP_X86_USER_SPACE_MSR");

    // One range per MSR; a clear bit in the bitmap means: exit.
    kvm_msr_filter filter{};
    filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW;
    std::uint8_t deny[KVM_MSR_FILTER_MAX_RANGES] = {};
    if (msrs.size() > KVM_MSR_FILTER_MAX_RANGES)
        throw Failure{Exit::kCannotRun,
                      std::to_string(msrs.size()) + " MSRs to filter, limit " +
                          std::to_string(KVM_MSR_FILTER_MAX_RANGES)};
    for (std::size_t i = 0; i < msrs.size(); ++i) {
        filter.ranges[i].flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
        filter.ranges[i].base = msrs[i];
        filter.ranges[i].nmsrs = 1;
        filter.ranges[i].bitmap = &deny[i];
    }
    if (::ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter) < 0)
        throw system_failure("KVM_X86_SET_MSR_FILTER");
}

}  // namespace ipidefer::vmm
