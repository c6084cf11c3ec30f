// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's root: the lab's own things below /lab, next to whatever the user
// brings.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace ipidefer::lab {

struct RootContents {
    /// The folder with lab-agent and its helpers.
    std::filesystem::path guest_programs;
    std::filesystem::path busybox;
    std::optional<std::filesystem::path> modules;
    /// Name in the guest to script.
    std::map<std::string, std::filesystem::path> workloads;
    /// With the VMM and the guest for nested ones.
    bool nested = false;
    /// An initramfs to unpack first, in any format that the kernel takes.
    std::optional<std::filesystem::path> initrd;
    /// A folder to unpack last, over all else.
    std::optional<std::filesystem::path> overlay;
};

/// Throws a Failure that names what cannot be read or written.
void write_initramfs(const RootContents& contents,
                     const std::filesystem::path& to);

}  // namespace ipidefer::lab
