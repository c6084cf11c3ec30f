// SPDX-License-Identifier: GPL-2.0-or-later
// A VM without a guest, for tests of the host tools: a real segment with real
// decisions, and words that the test sets in the guest's place.
#pragma once

#include <ipidefer/shm.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/cpulist.hpp"

namespace ipidefer::segment::test {

inline constexpr std::uint8_t kSyncCore = 0xf5;
inline constexpr std::uint8_t kKernelTlbi = 0xea;

class TestVm final {
  public:
    enum class State : std::uint32_t { kKernel, kIdle, kUser, kGuest };

    struct Options {
        std::uint32_t vcpus = 4;
        CpuSet isolated{2, 3};
        std::uint32_t ring_entries = 64;
    };

    /// @param folder empty: the library's default
    /// All vCPUs have both vectors bound; the isolated ones are in userspace,
    /// the others in the kernel. Throws std::runtime_error.
    TestVm(const std::filesystem::path& folder, const std::string& name,
           const Options& options);
    TestVm(const std::filesystem::path& folder, const std::string& name)
        : TestVm{folder, name, Options{}}
    {
    }

    /// Of its segment.
    [[nodiscard]] std::string id() const { return ipidefer_shm_id(shm_.get()); }
    [[nodiscard]] std::string file() const
    {
        return IPIDEFER_SHM_PREFIX + id();
    }

    [[nodiscard]] ipidefer_vm* vm() const
    {
        return ipidefer_shm_vm(shm_.get());
    }

    /// Enter the kernel, which does recorded work, and go on to `state`.
    void enter(std::uint32_t vcpu, State state);

    /// One fixed-mode IPI, traced and decided as a VMM does.
    /// @return targets that are interrupted
    CpuSet send(std::uint32_t sender, std::uint8_t vector,
                const CpuSet& targets);

    /// Any other write to the ICR, x2APIC format: traced only.
    void write_icr(std::uint32_t sender, std::uint64_t value,
                   const CpuSet& targets);

    /// @return targets that work was delivered to for its age
    CpuSet tick(std::uint64_t now);

  private:
    struct Destroy {
        void operator()(ipidefer_shm* shm) const { ipidefer_shm_destroy(shm); }
    };

    void trace(std::uint32_t sender, const ipidefer_icr& icr,
               const CpuSet& targets);

    std::vector<std::uint32_t> words_;
    std::unique_ptr<ipidefer_shm, Destroy> shm_;
};

}  // namespace ipidefer::segment::test
