// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/mounts.hpp"

#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/failure.hpp"
#include "experiments/guest/files.hpp"
#include "experiments/guest/workload.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab::agent {
namespace {

struct Mount {
    const char* type;
    const char* where;
    bool needed;
};

constexpr Mount kMounts[] = {
    {"proc", "/proc", true},
    {"sysfs", "/sys", true},
    {"devtmpfs", "/dev", true},
    {"debugfs", "/sys/kernel/debug", false},
    {"tracefs", "/sys/kernel/tracing", false},
    {"tmpfs", "/tmp", false},
};

}  // namespace

std::vector<std::string> set_up_root()
{
    std::vector<std::string> missing;
    for (const auto& m : kMounts) {
        ::mkdir(m.where, 0755);  // in sysfs it is there, or cannot be made
        // EBUSY: the kernel, or whoever ran before us, did it.
        if (::mount(m.type, m.where, m.type, 0, nullptr) == 0 || errno == EBUSY)
            continue;
        if (m.needed) throw system_failure(std::string{"mounting "} + m.where);
        missing.push_back(std::string{m.type} + " on " + m.where + ": " +
                          std::strerror(errno));
    }
    ::mkdir(protocol::kBin, 0755);
    ::setenv("PATH",
             (std::string{protocol::kBin} + ":" + protocol::kRoot +
              ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
                 .c_str(),
             1);
    ::setenv("HOME", "/", 1);
    const auto install =
        run_program({protocol::kBusybox, "--install", "-s", protocol::kBin});
    if (install.status != 0)
        throw std::runtime_error{"installing busybox: " + install.output};
    return missing;
}

}  // namespace ipidefer::lab::agent
