// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/vcpu.hpp"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/failure.hpp"
#include "vmm/kvm/src/kvm_layout.hpp"

namespace ipidefer::vmm {
namespace {

constexpr std::uint32_t kMostNameBytes = 256;
constexpr std::uint32_t kMostStatistics = 4096;
constexpr unsigned kMostRetries = 1000;

template <typename... Argument>
void call(int fd, unsigned long request, const char* what, Argument... argument)
{
    if (::ioctl(fd, request, argument...) < 0) throw system_failure(what);
}

}  // namespace

Vcpu::Vcpu(int vm, unsigned index, std::size_t run_bytes)
    : fd_{::ioctl(vm, KVM_CREATE_VCPU, static_cast<unsigned long>(index))},
      run_bytes_{run_bytes}
{
    if (!fd_) throw system_failure("KVM_CREATE_VCPU " + std::to_string(index));
    void* at = ::mmap(nullptr, run_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED,
                      fd_.get(), 0);
    if (at == MAP_FAILED) throw system_failure("mapping kvm_run");
    run_ = static_cast<kvm_run*>(at);
    open_statistics();
}

Vcpu::~Vcpu()
{
    if (run_ != nullptr) ::munmap(run_, run_bytes_);
}

bool Vcpu::run()
{
    // EAGAIN: the vCPU changed state inside KVM; bounded, then it is an error.
    for (unsigned i = 0; i < kMostRetries; ++i) {
        if (::ioctl(fd_.get(), KVM_RUN, 0) == 0) return true;
        if (errno == EINTR) return false;
        if (errno != EAGAIN) break;
    }
    throw system_failure("KVM_RUN");
}

void Vcpu::set_cpuid(const std::vector<kvm_cpuid_entry2>& entries)
{
    CpuidList list{static_cast<std::uint32_t>(entries.size())};
    std::ranges::copy(entries, list.entries().begin());
    call(fd_.get(), kSetCpuid2, "KVM_SET_CPUID2", &list.header());
}

void Vcpu::set_state(const CpuState& state)
{
    call(fd_.get(), KVM_SET_SREGS, "KVM_SET_SREGS", &state.sregs);
    call(fd_.get(), KVM_SET_REGS, "KVM_SET_REGS", &state.regs);
    // What the page says of the old state must not be acted on.
    run_->ready_for_interrupt_injection = 0;
    run_->if_flag = 0;
    run_->cr8 = 0;
}

kvm_regs Vcpu::regs() const
{
    kvm_regs regs{};
    call(fd_.get(), KVM_GET_REGS, "KVM_GET_REGS", &regs);
    return regs;
}

void Vcpu::clear_events()
{
    kvm_vcpu_events events{};
    events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    call(fd_.get(), KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", &events);
}

void Vcpu::inject(std::uint8_t vector)
{
    kvm_interrupt interrupt{};
    interrupt.irq = vector;
    call(fd_.get(), KVM_INTERRUPT, "KVM_INTERRUPT", &interrupt);
    run_->ready_for_interrupt_injection = 0;
}

void Vcpu::inject_nmi() { call(fd_.get(), KVM_NMI, "KVM_NMI", 0); }

/// Finds the statistic named "exits". api.rst 4.133.
void Vcpu::open_statistics()
{
    statistics_ = UniqueFd{::ioctl(fd_.get(), KVM_GET_STATS_FD, 0)};
    if (!statistics_) return;
    const auto read = [this](void* to, std::size_t bytes, std::uint64_t at) {
        return ::pread(statistics_.get(), to, bytes, static_cast<off_t>(at)) ==
               static_cast<ssize_t>(bytes);
    };
    kvm_stats_header header{};
    if (read(&header, sizeof(header), 0) &&
        header.name_size <= kMostNameBytes &&
        header.num_desc <= kMostStatistics) {
        const std::size_t bytes = sizeof(StatsDescription) + header.name_size;
        const auto raw = std::make_unique<char[]>(bytes + 1);
        for (std::uint32_t i = 0; i < header.num_desc; ++i) {
            if (!read(raw.get(), bytes, header.desc_offset + i * bytes)) break;
            StatsDescription description{};
            std::memcpy(&description, raw.get(), sizeof(description));
            if (std::string_view{raw.get() + sizeof(description)} != "exits")
                continue;
            exits_at_ = header.data_offset + description.offset;
            return;
        }
    }
    statistics_ = UniqueFd{};
}

std::optional<std::uint64_t> Vcpu::exits() const
{
    std::uint64_t exits = 0;
    if (!statistics_ || ::pread(statistics_.get(), &exits, sizeof(exits),
                                static_cast<off_t>(exits_at_)) != sizeof(exits))
        return std::nullopt;
    return exits;
}

std::optional<std::int64_t> Vcpu::tsc_offset() const
{
    std::int64_t offset = 0;
    kvm_device_attr attribute{};
    attribute.group = KVM_VCPU_TSC_CTRL;
    attribute.attr = KVM_VCPU_TSC_OFFSET;
    attribute.addr = reinterpret_cast<std::uintptr_t>(&offset);
    if (::ioctl(fd_.get(), KVM_GET_DEVICE_ATTR, &attribute) != 0)
        return std::nullopt;
    return offset;
}

}  // namespace ipidefer::vmm
