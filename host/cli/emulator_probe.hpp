// SPDX-License-Identifier: GPL-2.0-or-later
// Emulator probe: run a QEMU and ask it about the ipi-defer object.
#pragma once

#include <optional>
#include <string>

#include "host/domain/emulator.hpp"

namespace ipidefer::cli {

/// Nothing for what is no absolute path: libvirt would choose.
[[nodiscard]] std::optional<domain::Emulator> probe_emulator(
    const std::string& path);

}  // namespace ipidefer::cli
