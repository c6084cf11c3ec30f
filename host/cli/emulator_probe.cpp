// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/emulator_probe.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/program.hpp"

namespace ipidefer::cli {
namespace {

/// It answers at once, or is no QEMU.
constexpr std::chrono::seconds kTimeout{20};

}  // namespace

std::optional<domain::Emulator> probe_emulator(const std::string& path)
{
    if (!path.starts_with('/')) return std::nullopt;
    domain::Emulator emulator;
    if (::access(path.c_str(), X_OK) != 0) {
        emulator.complaint = std::strerror(errno);
        return emulator;
    }
    const auto result =
        run_program(path, {"-object", "ipi-defer,help"}, kTimeout);
    if (!result) {
        emulator.complaint =
            "no answer within " + std::to_string(kTimeout.count()) + " seconds";
        return emulator;
    }
    return domain::read_object_help(result->status, result->output);
}

}  // namespace ipidefer::cli
