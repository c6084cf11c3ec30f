// SPDX-License-Identifier: GPL-2.0-or-later
#include "qemu_command.hpp"

#include "failure.hpp"
#include "program.hpp"
#include "protocol.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

/// Where distributions put firmware, for a QEMU that was not installed.
constexpr const char* kFirmware[] = {"/usr/share/seabios", "/usr/share/qemu"};

std::string client_socket(const char* id, const fs::path& path)
{
    // QEMU takes a doubled comma for one.
    std::string escaped;
    for (const char c : path.string())
        escaped += c == ',' ? std::string{",,"} : std::string{c};
    return std::string{"socket,id="} + id + ",path=" + escaped + ",server=off";
}

}  // namespace

std::string kernel_command_line(const Options& options, Mode mode)
{
    const std::string isolated = format_cpulist(options.isolated);
    // tsc=reliable: else a clock watchdog visits each CPU in turn, as
    // emulated CPUs do not promise an invariant TSC.
    std::string line =
        "console=ttyS0 rdinit=" + std::string{protocol::kAgent} +
        " nohz_full=" + isolated + " isolcpus=managed_irq,domain," + isolated +
        " rcu_nocbs=" + isolated +
        " irqaffinity=" + format_cpulist(options.housekeeping) +
        " tsc=reliable panic=-1 ipi_defer=" + std::string{name(mode)};
    if (!options.append.empty()) line += ' ' + options.append;
    return line;
}

std::vector<std::string> qemu_arguments(const Options& options, Mode mode,
                                        bool ipi_defer,
                                        const fs::path& initramfs,
                                        const fs::path& sockets)
{
    const bool tcg = options.accel == Accel::kTcg;
    std::vector<std::string> arguments{"-nodefaults", "-no-user-config",
                                       "-no-reboot"};
    const auto add = [&](const char* option, std::string value) {
        arguments.emplace_back(option);
        arguments.push_back(std::move(value));
    };
    add("-display", "none");
    add("-nic", "none");
    for (const char* folder : kFirmware)
        if (fs::is_directory(folder)) add("-L", folder);
    add("-accel", tcg ? "tcg,thread=multi" : "kvm");
    add("-cpu", !tcg ? "host" : options.nested ? "max,+svm" : "max");
    add("-smp", std::to_string(options.cpus));
    add("-m", options.memory);
    add("-chardev", client_socket("console", sockets / kConsoleSocket));
    add("-serial", "chardev:console");
    add("-chardev", client_socket("guest", sockets / kGuestSocket));
    add("-serial", "chardev:guest");
    add("-chardev", client_socket("qmp", sockets / kQmpSocket));
    add("-mon", "chardev=qmp,mode=control");
    if (ipi_defer) {
        // A list of ranges is one key for each of them.
        std::string object = "ipi-defer,id=defer0,isolated-cpus=";
        for (const char c : format_cpulist(options.isolated))
            object += c == ',' ? ",isolated-cpus=" : std::string{c};
        add("-object", object);
    }
    add("-kernel", options.kernel.string());
    add("-initrd", initramfs.string());
    add("-append", kernel_command_line(options, mode));
    return arguments;
}

bool has_ipi_defer(const fs::path& qemu)
{
    const auto help = run_program(qemu, {"-object", "help"});
    if (help.status != 0)
        throw Failure{Exit::kCannotRun,
                      qemu.string() + " -object help ended with status " +
                          std::to_string(help.status),
                      help.output};
    return help.output.find("\n  ipi-defer\n") != std::string::npos;
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
