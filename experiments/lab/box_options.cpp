// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/box_options.hpp"

#include "base/option_value.hpp"
#include "experiments/lab/options.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kLeastMemoryMib = 1024;
constexpr unsigned kMostMemoryMib = 1024 * 1024;

}  // namespace

void add_box_options(CLI::App& app, RawBoxOptions& raw)
{
    app.add_option("--cpus", raw.cpus, "CPUs")->capture_default_str();
    app.add_option("--isolated", raw.isolated,
                   "isolated CPUs, as in 2-3 (default: none)");
    app.add_option("--mem", raw.memory, "memory, as in 4G")
        ->capture_default_str();
    app.add_option("--qemu", raw.qemu,
                   "qemu-system-x86_64 to use, with 9p (default: "
                   "$IPIDEFER_QEMU)");
    app.add_option("--kernel", raw.kernel,
                   "folder with bzImage and modules/ (default: "
                   "$IPIDEFER_KERNEL)");
    app.add_option("--append", raw.append,
                   "more for the kernel's command line");
    app.add_option("--share", raw.shares,
                   "folder that is written to here as well; repeatable")
        ->allow_extra_args(false);
    app.add_option("--console", raw.console,
                   "keep what the box's kernel says in this file");
    app.add_option("--timeout", raw.timeout,
                   "seconds that it may take to boot; the command may take any "
                   "time")
        ->capture_default_str();
    app.add_option("command", raw.command,
                   "what to run there, as root (default: a shell)");
    // What follows the command is the command's.
    app.prefix_command();
}

BoxSpec check_box_options(const RawBoxOptions& raw)
{
    BoxSpec spec;
    spec.cpus = check_within("--cpus", raw.cpus, 1, kMostGuestCpus);
    if (!raw.isolated.empty())
        spec.isolated = check_isolated(raw.isolated, raw.cpus);
    (void)parse_memory("--mem", raw.memory, kLeastMemoryMib, kMostMemoryMib);
    spec.memory = raw.memory;
    spec.qemu = fs::absolute(check_qemu(raw.qemu));
    spec.kernel = fs::absolute(check_kernel(raw.kernel));
    spec.append = raw.append;
    for (const auto& share : raw.shares)
        spec.shares.push_back(fs::canonical(check_folder("--share", share)));
    check_output("--console", raw.console);
    if (!raw.console.empty()) spec.console = fs::absolute(raw.console);
    spec.timeout = std::chrono::seconds{check_timeout(raw.timeout)};
    spec.command = raw.command;
    return spec;
}

}  // namespace ipidefer::lab
