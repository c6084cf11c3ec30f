// SPDX-License-Identifier: GPL-2.0-or-later
// A whole VM: memory, vCPUs, the interceptor and the threads; started, watched,
// and always ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/kvm/src/ending.hpp"
#include "vmm/kvm/src/image.hpp"
#include "vmm/kvm/src/interceptor.hpp"
#include "vmm/kvm/src/kvm.hpp"
#include "vmm/kvm/src/memory.hpp"
#include "vmm/kvm/src/ports.hpp"
#include "vmm/kvm/src/router.hpp"
#include "vmm/kvm/src/run_loop.hpp"
#include "vmm/kvm/src/segment.hpp"

namespace ipidefer::vmm {

struct MachineConfig {
    unsigned vcpus = 1;
    std::size_t ram_bytes = 0;
    terms::PolicyChange policy;
    bool trace = false;         // from the start; needs a segment
    std::vector<unsigned> pin;  // host CPU of each vCPU, or empty
    std::string append;         // for the guest's command line
    std::optional<SegmentConfig> segment;
};

class Machine {
  public:
    Machine(const Kvm& kvm, const MachineConfig& config);
    ~Machine();

    /// Loads the image, and prepares the first vCPU to enter it.
    void load(const Image& image);

    /// Runs until the guest ends, `seconds` are over, or SIGINT or SIGTERM
    /// comes; the console goes to `console_fd` meanwhile. All threads have
    /// ended when it returns. Call it once.
    [[nodiscard]] Outcome run(unsigned seconds, int console_fd);

    [[nodiscard]] const Interceptor& interceptor() const noexcept
    {
        return interceptor_;
    }
    [[nodiscard]] const Ports& ports() const noexcept { return ports_; }
    [[nodiscard]] std::vector<VcpuCounts> counts() const;
    [[nodiscard]] bool counts_exits() const;

  private:
    struct Cpu {
        std::unique_ptr<Vcpu> vcpu;
        std::unique_ptr<RunLoop> loop;
    };
    [[nodiscard]] Mark snapshot() const;
    void stop_all();

    MachineConfig config_;
    GuestMemory memory_;
    UniqueFd vm_;
    Interceptor interceptor_;
    Router router_;
    Ending ending_;
    Ports ports_;
    std::vector<Cpu> cpus_;
    std::uint64_t started_ = 0;
};

}  // namespace ipidefer::vmm
