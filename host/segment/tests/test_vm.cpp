// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/tests/test_vm.hpp"

#include <stdexcept>

namespace ipidefer::segment::test {
namespace {

// The state in [1:0], work in [3:2], "kernel runs" in [4].
constexpr std::uint32_t kStateMask = 0x3;
constexpr std::uint32_t kSyncCoreBit = 0x4;
constexpr std::uint32_t kKernelTlbiBit = 0x8;
constexpr std::uint32_t kInKernel = 0x10;

std::uint32_t word_of(TestVm::State state)
{
    return static_cast<std::uint32_t>(state) |
           (state == TestVm::State::kKernel ? kInKernel : 0);
}

ipi_defer_binding binding(std::uint32_t vcpu, std::uint8_t vector,
                          std::uint32_t bit)
{
    ipi_defer_binding b{};
    b.word_gpa = 0x1000 + vcpu * 0x1000;
    b.accept_mask = kInKernel;
    b.work_bit = bit;
    b.state_mask = kStateMask;
    b.vector = vector;
    b.state_user = static_cast<std::uint8_t>(TestVm::State::kUser);
    b.state_guest = static_cast<std::uint8_t>(TestVm::State::kGuest);
    b.state_idle = static_cast<std::uint8_t>(TestVm::State::kIdle);
    return b;
}

}  // namespace

TestVm::TestVm(const std::filesystem::path& folder, const std::string& name,
               const Options& options)
    : words_(options.vcpus, word_of(State::kKernel))
{
    ipidefer_shm_options shm{};
    if (!folder.empty()) shm.directory = folder.c_str();
    shm.name = name.c_str();
    shm.producer = "test VMM";
    shm.vcpus = options.vcpus;
    shm.ring_entries = options.ring_entries;
    shm.group = static_cast<gid_t>(-1);
    ipidefer_shm_error error{};
    shm_.reset(ipidefer_shm_create(&shm, &error));
    if (shm_ == nullptr) throw std::runtime_error{error.text};
    for (std::uint32_t i = 0; i < options.vcpus; ++i) {
        const ipi_defer_binding table[] = {
            binding(i, kSyncCore, kSyncCoreBit),
            binding(i, kKernelTlbi, kKernelTlbiBit)};
        std::uint32_t* const words[] = {&words_[i], &words_[i]};
        const bool isolated = options.isolated.contains(i);
        if (isolated) enter(i, State::kUser);
        if (ipidefer_set_isolated(vm(), i, isolated) != IPIDEFER_OK ||
            ipidefer_bind(vm(), i, table, words, 2, nullptr) != IPIDEFER_OK)
            throw std::runtime_error{"cannot bind"};
    }
    if (ipidefer_shm_publish(shm_.get(), &error) != 0)
        throw std::runtime_error{error.text};
}

void TestVm::enter(std::uint32_t vcpu, State state)
{
    // Ordering: SEQ_CST, as the guest's kernel entry; tests need no less.
    std::atomic_ref{words_.at(vcpu)}.store(word_of(state),
                                           std::memory_order_seq_cst);
}

void TestVm::trace(std::uint32_t sender, const ipidefer_icr& icr,
                   const CpuSet& targets)
{
    if (!ipidefer_tracing(vm(), IPIDEFER_TRACE_SEND)) return;
    std::vector<std::uint64_t> mask((words_.size() + 63) / 64);
    for (const unsigned target : targets)
        mask.at(target / 64) |= std::uint64_t{1} << target % 64;
    ipidefer_trace_send(vm(), sender, &icr, mask.data());
}

CpuSet TestVm::send(std::uint32_t sender, std::uint8_t vector,
                    const CpuSet& targets)
{
    trace(sender, ipidefer_icr_x2apic(vector), targets);
    CpuSet interrupted;
    for (const unsigned target : targets)
        if (!ipidefer_suppresses(
                ipidefer_decide_from(vm(), sender, target, vector)))
            interrupted.insert(target);
    return interrupted;
}

void TestVm::write_icr(std::uint32_t sender, std::uint64_t value,
                       const CpuSet& targets)
{
    trace(sender, ipidefer_icr_x2apic(value), targets);
}

CpuSet TestVm::tick(std::uint64_t now)
{
    CpuSet delivered;
    ipidefer_tick(
        vm(), now,
        [](void* to, std::uint32_t vcpu, std::uint8_t) {
            static_cast<CpuSet*>(to)->insert(vcpu);
        },
        &delivered);
    return delivered;
}

}  // namespace ipidefer::segment::test
