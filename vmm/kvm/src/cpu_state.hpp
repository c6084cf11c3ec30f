// SPDX-License-Identifier: GPL-2.0-or-later
// Register states that a vCPU is put into: reset, after a SIPI, and at an
// image's entry. SDM vol. 3A 10.1.1 (reset), 9.4 (SIPI), 10.8.5 (long mode).
#pragma once

#include <linux/kvm.h>

#include <cstdint>

#include "vmm/kvm/src/image.hpp"

namespace ipidefer::vmm {

struct CpuState {
    kvm_regs regs{};
    kvm_sregs sregs{};
};

/// Real mode at page << 12, as after SIPI; waiting for one looks the same.
[[nodiscard]] CpuState sipi_state(std::uint8_t page);

/// At the image's entry, with the registers that its protocol promises.
[[nodiscard]] CpuState entry_state(const Image& image);

}  // namespace ipidefer::vmm
