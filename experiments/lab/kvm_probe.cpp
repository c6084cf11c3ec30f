// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/kvm_probe.hpp"

#include <cpuid.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/option_value.hpp"
#include "base/process.hpp"
#include "base/scratch.hpp"
#include "base/unique_fd.hpp"
#include "experiments/lab/progress.hpp"
#include "experiments/lab/qemu_command.hpp"
#include "experiments/lab/signals.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// Under KVM a kernel gets to the end of its boot in a second or two, also
/// where KVM is nested in TCG and all CPUs are busy.
constexpr auto kBoot = 60s;
/// What a kernel without an initramfs ends with.
constexpr std::string_view kBooted = "VFS: Unable to mount root";

std::string without_device()
{
    const UniqueFd device{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
    if (!device) return std::string{"/dev/kvm: "} + std::strerror(errno);
    const int version = ::ioctl(device.get(), KVM_GET_API_VERSION, 0);
    if (version == KVM_API_VERSION) return {};
    return "KVM has API version " + std::to_string(version) + ", not " +
           std::to_string(KVM_API_VERSION);
}

/// CPUID leaf 0x40000000: the hypervisor's name.
bool emulated()
{
    constexpr unsigned kLeaf = 0x40000000;
    constexpr unsigned kHypervisor = 1u << 31;
    unsigned a = 0;
    std::array<unsigned, 3> name{};
    unsigned features = 0;
    if (__get_cpuid(1, &a, &name[0], &features, &name[2]) == 0 ||
        (features & kHypervisor) == 0)
        return false;
    __cpuid(kLeaf, a, name[0], name[1], name[2]);
    return std::memcmp(name.data(), "TCGTCGTCGTCG", sizeof name) == 0;
}

}  // namespace

std::string without_whole_kvm(const fs::path& qemu, const fs::path& kernel)
{
    if (const char* said = std::getenv(kKvmVariable);
        said != nullptr && *said != '\0') {
        if (std::string_view{said} == "whole") return {};
        if (std::string_view{said} == "box")
            return std::string{kKvmVariable} + " is 'box'";
        refuse_option(kKvmVariable,
                      in_quotes(said) + " is neither whole nor box");
    }
    if (auto why = without_device(); !why.empty()) return why;

    Progress progress;
    progress.show("looking whether Linux boots under KVM");
    EndingSignals signals;
    const Scratch scratch;
    const fs::path console = scratch.path() / "console.log";
    auto arguments = bare_machine();
    arguments.insert(
        arguments.end(),
        {"-accel", "kvm", "-cpu", "host", "-m", "256M", "-serial",
         "file:" + escaped(console.string()), "-kernel", kernel.string(),
         "-append", "console=ttyS0 tsc=reliable no_timer_check panic=-1"});
    Process machine{{.program = qemu,
                     .arguments = arguments,
                     .log = scratch.path() / "qemu.log",
                     .bound_to_us = true}};
    const auto status = signals.wait_for(machine, kBoot);
    std::error_code error;
    if (fs::is_regular_file(console, error) &&
        read_whole(console).find(kBooted) != std::string::npos)
        return {};
    if (!status)
        return "under this KVM Linux does not boot within " +
               std::to_string(kBoot.count()) + " s";
    return "under this KVM Linux does not boot; QEMU ended with status " +
           std::to_string(*status);
}

bool kvm_decides()
{
    // KVM_CAP_X86_IPI_DEFER, which <linux/kvm.h> of Debian 12 does not have.
    constexpr int kIpiDefer = 4950;
    const UniqueFd device{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
    return device && ::ioctl(device.get(), KVM_CHECK_EXTENSION, kIpiDefer) > 0;
}

bool in_box(Accel accel) { return accel == Accel::kKvm && emulated(); }

std::string accelerator(Accel accel)
{
    std::string text = name(accel);
    if (in_box(accel)) text += " in tcg";
    return text;
}

}  // namespace ipidefer::lab
