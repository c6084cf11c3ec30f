// SPDX-License-Identifier: GPL-2.0-or-later
// The core's VM: alone, or in a segment that host tools look at
// (docs/SEGMENT.md).
#pragma once

#include <ipidefer/shm.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ipidefer::vmm {

struct SegmentConfig {
    std::string name;
    std::string directory;  // empty: the library's default
    mode_t mode = 0;        // 0: the library's default
    gid_t group = static_cast<gid_t>(-1);
    std::uint32_t trace_entries = 0;
};

/// The number of a group, by its name or number; nullopt: there is none.
[[nodiscard]] std::optional<gid_t> group_of(const std::string& text);

class CoreVm {
  public:
    /// Throws a Failure. With a segment also installs the handler that survives
    /// its truncation.
    CoreVm(unsigned vcpus, const std::optional<SegmentConfig>& segment);

    /// Let others find the segment, if there is one: the first policy is there.
    /// Throws a Failure.
    void publish();

    [[nodiscard]] ipidefer_vm* get() const noexcept { return vm_; }
    /// Of the segment, or nullptr.
    [[nodiscard]] ipidefer_shm* shm() const noexcept { return shm_.get(); }

  private:
    struct Destroy {
        void operator()(ipidefer_vm* vm) const noexcept
        {
            ipidefer_vm_destroy(vm);
        }
        void operator()(ipidefer_shm* shm) const noexcept
        {
            ipidefer_shm_destroy(shm);
        }
    };

    std::unique_ptr<ipidefer_shm, Destroy> shm_;
    std::unique_ptr<ipidefer_vm, Destroy> alone_;
    ipidefer_vm* vm_ = nullptr;
};

}  // namespace ipidefer::vmm
