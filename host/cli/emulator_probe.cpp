// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/emulator_probe.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/program.hpp"

namespace ipidefer::cli {
namespace {

/// It answers at once, or is no QEMU.
constexpr const char* kTimeout = "/usr/bin/timeout";
constexpr const char* kSeconds = "20";
constexpr int kTimedOut = 124;

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
        run_program(kTimeout, {kSeconds, path, "-object", "ipi-defer,help"});
    if (result.status == kTimedOut) {
        emulator.complaint =
            std::string{"no answer within "} + kSeconds + " seconds";
        return emulator;
    }
    return domain::read_object_help(result.status, result.output);
}

}  // namespace ipidefer::cli
