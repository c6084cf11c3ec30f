// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/initramfs.hpp"

#include <fstream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "experiments/lab/cpio.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

/// Paths in an archive have no slash in front.
std::string in_root(const char* path) { return path + 1; }

void add_program(CpioWriter& cpio, const fs::path& from, const std::string& to)
{
    cpio.file(to, read_whole(from), 0755);
}

}  // namespace

void write_initramfs(const RootContents& contents, const fs::path& to)
{
    std::ofstream out{to, std::ios::binary};
    if (contents.initrd) {
        const std::string theirs = read_whole(*contents.initrd);
        out << theirs;
        // The kernel looks for the next archive at a multiple of four.
        for (auto size = theirs.size(); size % 4 != 0; ++size) out << '\0';
    }

    CpioWriter cpio{out};
    for (const char* mount : {"dev", "proc", "sys", "tmp"}) cpio.folder(mount);
    cpio.character_device("dev/console", 0600, 5, 1);
    add_program(cpio, contents.guest_programs / "lab-agent",
                in_root(protocol::kAgent));
    for (const std::string tool :
         {"lab-bpf-attach", "lab-bpf-maps", "lab-cgroup-bpf", "lab-huge-pages",
          "lab-many-files", "lab-memory", "lab-perf-events", "lab-seccomp",
          "lab-secret-page"})
        add_program(cpio, contents.guest_programs / tool,
                    in_root(protocol::kRoot) + '/' + tool);
    if (contents.nested) {
        add_program(cpio, contents.guest_programs / "ipidefer-vmm-static",
                    in_root(protocol::kVmm));
        add_program(cpio, contents.guest_programs / "kvm-guest.elf",
                    in_root(protocol::kVmmGuest));
    }
    add_program(cpio, contents.busybox, in_root(protocol::kBusybox));
    cpio.folder(in_root(protocol::kBin));
    if (contents.modules)
        for (const auto& entry : fs::directory_iterator{*contents.modules})
            if (entry.path().extension() == ".ko")
                cpio.file(in_root(protocol::kModules) + '/' +
                              entry.path().filename().string(),
                          read_whole(entry.path()), 0644);
    for (const auto& [name, script] : contents.workloads)
        add_program(cpio, script, in_root(protocol::kWorkloads) + '/' + name);
    if (contents.overlay) cpio.tree(*contents.overlay, "");
    cpio.finish();
    if (!out.flush())
        throw Failure{Exit::kCannotRun, "cannot write " + to.string()};
}

}  // namespace ipidefer::lab
