// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/check/host_kvm.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "host/check/host_cpus.hpp"

namespace ipidefer::check {

namespace fs = std::filesystem;

std::optional<bool> IpiVirtualization::on(const fs::path& root) const
{
    const auto value =
        first_line(root / "sys/module" / module / "parameters" / parameter);
    if (!value) return std::nullopt;
    return value == "Y" || value == "1";
}

bool ipis_bypass_kvm(const fs::path& root)
{
    return std::ranges::any_of(kIpiVirtualizations,
                               [&root](const IpiVirtualization& kind) {
                                   return kind.on(root).value_or(false);
                               });
}

std::optional<std::string> kvm_complaint(const fs::path& root)
{
    if (::access((root / "dev/kvm").c_str(), R_OK | W_OK) == 0)
        return std::nullopt;
    return "/dev/kvm cannot be used (" + std::string{std::strerror(errno)} +
           ')';
}

}  // namespace ipidefer::check
