// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/qemu_command.hpp"

#include "base/failure.hpp"
#include "base/program.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

/// Where distributions put firmware, for a QEMU that was not installed.
constexpr const char* kFirmware[] = {"/usr/share/seabios", "/usr/share/qemu"};

std::string client_socket(const char* id, const fs::path& path)
{
    return std::string{"socket,id="} + id + ",path=" + escaped(path.string()) +
           ",server=off";
}

ProgramResult ask(const fs::path& qemu, const std::vector<std::string>& what)
{
    auto answer = run_program(qemu, what);
    if (answer.status == 0) return answer;
    std::string words = qemu.string();
    for (const auto& word : what) words += ' ' + word;
    throw Failure{Exit::kCannotRun,
                  words + " ended with status " + std::to_string(answer.status),
                  answer.output};
}

}  // namespace

std::string escaped(const std::string& value)
{
    std::string text;
    for (const char c : value)
        text += c == ',' ? std::string{",,"} : std::string{c};
    return text;
}

std::vector<std::string> bare_machine()
{
    std::vector<std::string> arguments{"-nodefaults", "-no-user-config",
                                       "-no-reboot",  "-display",
                                       "none",        "-nic",
                                       "none"};
    for (const char* folder : kFirmware)
        if (fs::is_directory(folder))
            arguments.insert(arguments.end(), {"-L", folder});
    return arguments;
}

std::string isolation(const CpuSet& isolated, const CpuSet& housekeeping)
{
    const std::string cpus = format_cpulist(isolated);
    return "nohz_full=" + cpus + " isolcpus=managed_irq,domain," + cpus +
           " rcu_nocbs=" + cpus +
           " irqaffinity=" + format_cpulist(housekeeping);
}

std::string kernel_command_line(const Options& options, Mode mode)
{
    // tsc=reliable: else a clock watchdog visits each CPU in turn, as
    // emulated CPUs do not promise an invariant TSC. ipi_defer_small_pages:
    // else a guest that has just booted splits large pages of its direct map,
    // for which all CPUs have to be interrupted; with ipi_defer=off the kernel
    // ignores it. ipi_defer_stats: senders count too, and the lab compares.
    std::string line = "console=ttyS0 rdinit=" + std::string{protocol::kAgent} +
                       ' ' + isolation(options.isolated, options.housekeeping) +
                       " tsc=reliable ipi_defer_small_pages ipi_defer_stats "
                       "panic=-1 ipi_defer=" +
                       std::string{name(in_the_guest(mode))};
    if (!options.append.empty()) line += ' ' + options.append;
    return line;
}

std::vector<std::string> qemu_arguments(const Options& options, Mode mode,
                                        IpiDefer ipi_defer,
                                        const fs::path& initramfs,
                                        const fs::path& sockets)
{
    const bool tcg = options.accel == Accel::kTcg;
    std::vector<std::string> arguments = bare_machine();
    const auto add = [&](const char* option, std::string value) {
        arguments.emplace_back(option);
        arguments.push_back(std::move(value));
    };
    add("-accel", tcg ? std::string{"tcg,thread=multi"}
                      : "kvm,kernel-irqchip=" + options.irqchip);
    add("-cpu", !tcg ? "host" : options.nested ? "max,+svm" : "max");
    add("-smp", std::to_string(options.cpus));
    add("-m", options.memory);
    add("-chardev", client_socket("console", sockets / kConsoleSocket));
    add("-serial", "chardev:console");
    add("-chardev", client_socket("guest", sockets / kGuestSocket));
    add("-serial", "chardev:guest");
    add("-chardev", client_socket("qmp", sockets / kQmpSocket));
    add("-mon", "chardev=qmp,mode=control");
    add("-name", "guest=" + escaped(options.name));
    if (ipi_defer != IpiDefer::kNone) {
        // A list of ranges is one key for each of them.
        std::string object = "ipi-defer,id=defer0,isolated-cpus=";
        for (const char c : format_cpulist(options.isolated))
            object += c == ',' ? ",isolated-cpus=" : std::string{c};
        if (mode == Mode::kKvm || ipi_defer == IpiDefer::kInKernel)
            object += mode == Mode::kKvm ? ",in-kernel=on" : ",in-kernel=off";
        if (ipi_defer >= IpiDefer::kSegment) {
            object += ",segment=on";
            if (!options.shm_folder.empty())
                object +=
                    ",segment-dir=" + escaped(options.shm_folder.string());
        }
        add("-object", object);
    }
    add("-kernel", options.kernel.string());
    add("-initrd", initramfs.string());
    add("-append", kernel_command_line(options, mode));
    return arguments;
}

IpiDefer ipi_defer_of(const fs::path& qemu)
{
    const auto objects = ask(qemu, {"-object", "help"});
    if (objects.output.find("\n  ipi-defer\n") == std::string::npos)
        return IpiDefer::kNone;
    const auto properties = ask(qemu, {"-object", "ipi-defer,help"});
    const auto has = [&properties](const char* name) {
        return properties.output.find(std::string{"\n  "} + name + '=') !=
               std::string::npos;
    };
    if (!has("segment")) return IpiDefer::kObject;
    return has("in-kernel") ? IpiDefer::kInKernel : IpiDefer::kSegment;
}

std::string shell_quoted(const std::vector<std::string>& words)
{
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "_-+=:,./@%";
    std::string line;
    for (const auto& word : words) {
        if (!line.empty()) line += ' ';
        if (!word.empty() &&
            word.find_first_not_of(kPlain) == std::string::npos) {
            line += word;
            continue;
        }
        line += '\'';
        for (const char c : word)
            line += c == '\'' ? std::string{"'\\''"} : std::string{c};
        line += '\'';
    }
    return line;
}

}  // namespace ipidefer::lab
