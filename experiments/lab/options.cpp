// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/options.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "base/failure.hpp"
#include "base/number_list.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/plan.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kLeastMemoryMib = 128;
constexpr unsigned kMostMemoryMib = 64 * 1024;
constexpr unsigned kShortestTimeout = 5;
constexpr unsigned kMostRetries = 100;
constexpr char kDefaultWorkload[] = "mixed";
// What is deferred for a vCPU that runs a guest, and nothing else.
constexpr char kDefaultNestedWorkload[] = "static-keys";

std::string default_modes(Accel accel)
{
    std::string modes = "off,guest,hv";
    if (accel == Accel::kKvm && kvm_decides()) modes += ",kvm";
    return modes;
}

std::vector<Mode> check_modes(const std::string& text)
{
    std::vector<Mode> modes;
    std::string_view left = text;
    for (;;) {
        const auto comma = left.find(',');
        const std::string word{left.substr(0, comma)};
        const auto mode = mode_of(word);
        if (!mode)
            refuse_option("--modes", in_quotes(word) +
                                         " is not one of off, guest, hv, kvm");
        if (std::ranges::find(modes, *mode) != modes.end())
            refuse_option("--modes", in_quotes(word) + " is there twice");
        modes.push_back(*mode);
        if (comma == std::string_view::npos) return modes;
        left.remove_prefix(comma + 1);
    }
}

fs::path readable(const std::string& option, const fs::path& path)
{
    std::error_code error;
    if (!fs::is_regular_file(path, error) || ::access(path.c_str(), R_OK) != 0)
        refuse_option(option,
                      in_quotes(path.string()) + " is not a readable file");
    return path;
}

std::string or_environment(const std::string& value, const char* variable,
                           const std::string& option)
{
    if (!value.empty()) return value;
    const char* found = std::getenv(variable);
    if (found == nullptr || *found == '\0')
        refuse_option(option, std::string{"not given, and "} + variable +
                                  " is not set in the environment");
    return found;
}

Accel check_accel(const std::string& text)
{
    // An ICR write is seen where QEMU emulates the local APIC: with TCG.
    if (text == "auto" || text == "tcg") return Accel::kTcg;
    if (text == "kvm") return Accel::kKvm;
    refuse_option("--accel", in_quotes(text) + " is not one of auto, tcg, kvm");
}

std::string check_irqchip(const std::string& text, Accel accel)
{
    if (text != "on" && text != "split")
        refuse_option("--irqchip",
                      in_quotes(text) + " is not one of on, split");
    if (text != "on" && accel != Accel::kKvm)
        refuse_option("--irqchip", "'split' needs --accel kvm");
    return text;
}

fs::path find_busybox()
{
    for (const char* path : {"/bin/busybox", "/usr/bin/busybox"})
        if (::access(path, R_OK) == 0) return path;
    throw Failure{Exit::kCannotRun,
                  "no busybox in /bin or /usr/bin; on Debian: "
                  "apt-get install busybox-static"};
}

std::vector<Workload> check_workloads(const std::vector<std::string>& given,
                                      const fs::path& guest_programs)
{
    const auto built_in = built_in_workloads(guest_programs);
    std::vector<Workload> workloads;
    for (const auto& text : given) {
        Workload workload{text, guest_programs / "workloads" / (text + ".sh")};
        if (std::ranges::find(built_in, text) == built_in.end()) {
            workload = {fs::path{text}.filename().string(), text};
            std::error_code error;
            if (!fs::is_regular_file(text, error)) {
                std::string names;
                for (const auto& name : built_in) names += ' ' + name;
                refuse_option(
                    "--workload",
                    in_quotes(text) + " is neither a file nor one of:" + names);
            }
            readable("--workload", text);
        }
        const bool twice = std::ranges::any_of(
            workloads,
            [&](const auto& other) { return other.name == workload.name; });
        if (twice)
            refuse_option("--workload",
                          "two are named " + in_quotes(workload.name));
        workloads.push_back(std::move(workload));
    }
    return workloads;
}

std::uint64_t check_seed(const RawOptions& raw)
{
    if (!raw.seed) return std::random_device{}();
    if (raw.repeat == 1)
        refuse_option("--seed", "means nothing without --repeat");
    if (*raw.seed > kMostSeed)
        refuse_option("--seed", std::to_string(*raw.seed) + " is more than " +
                                    std::to_string(kMostSeed));
    return *raw.seed;
}

template <typename Check>
std::optional<fs::path> if_given(const std::string& option,
                                 const std::string& value, Check check)
{
    if (value.empty()) return std::nullopt;
    return check(option, value);
}

}  // namespace

fs::path check_folder(const std::string& option, const fs::path& path)
{
    std::error_code error;
    if (!fs::is_directory(path, error))
        refuse_option(option, in_quotes(path.string()) + " is not a folder");
    return path;
}

fs::path check_qemu(const std::string& given)
{
    fs::path path = or_environment(given, "IPIDEFER_QEMU", "--qemu");
    if (::access(path.c_str(), X_OK) != 0 || fs::is_directory(path))
        refuse_option("--qemu", in_quotes(path.string()) + " is not a program");
    return path;
}

fs::path check_kernel(const std::string& given)
{
    const fs::path kernel =
        or_environment(given, "IPIDEFER_KERNEL", "--kernel");
    return readable("--kernel",
                    fs::is_directory(kernel) ? kernel / "bzImage" : kernel);
}

CpuSet check_isolated(const std::string& text, unsigned cpus)
{
    CpuSet isolated =
        named_option("--isolated", [&] { return parse_cpulist(text, cpus); });
    // Linux boots on CPU 0, and keeps time there.
    if (isolated.contains(0))
        refuse_option(
            "--isolated",
            in_quotes(text) + " names CPU 0, which is always housekeeping");
    return isolated;
}

unsigned check_timeout(unsigned seconds)
{
    return check_within("--timeout", seconds, kShortestTimeout, kLongestTimeout,
                        " seconds");
}

void add_qemu_and_kernel(CLI::App& app, std::string& qemu, std::string& kernel)
{
    app.add_option("--qemu", qemu,
                   "qemu-system-x86_64 to use (default: $IPIDEFER_QEMU)");
    app.add_option("--kernel", kernel,
                   "bzImage, or a folder with bzImage and modules/ "
                   "(default: $IPIDEFER_KERNEL)");
}

void add_options(CLI::App& app, RawOptions& raw)
{
    app.add_option("--modes", raw.modes,
                   "who defers: off, guest, hv, kvm; several with commas "
                   "(default: off,guest,hv, and kvm where the host's KVM "
                   "decides, with --accel kvm)");
    app.add_option("--cpus", raw.cpus, "vCPUs")->capture_default_str();
    app.add_option("--isolated", raw.isolated, "isolated vCPUs, as in 2-3")
        ->capture_default_str();
    app.add_option("--mem", raw.memory, "memory, as in 512M or 2G")
        ->capture_default_str();
    app.add_option("--accel", raw.accel, "auto, tcg or kvm")
        ->capture_default_str();
    app.add_option("--irqchip", raw.irqchip,
                   "of KVM: on, or split, with PIC and I/O APIC in QEMU")
        ->capture_default_str();
    app.add_option(
        "--pin", raw.pin,
        "host CPUs for the isolated vCPUs, one for each, in order, as "
        "in 3,2; "
        "the rest of QEMU stays off them (default: none)");
    add_qemu_and_kernel(app, raw.qemu, raw.kernel);
    app.add_option("--initrd", raw.initrd,
                   "initramfs to unpack before the lab's own files");
    app.add_option("--append", raw.append,
                   "more for the kernel's command line");
    app.add_option("--modules", raw.modules,
                   "folder with *.ko files for the guest");
    app.add_option("--overlay", raw.overlay,
                   "folder to copy over the guest's root");
    app.add_option("--workload", raw.workloads,
                   "built-in workload or shell script; repeatable "
                   "(default: mixed, and static-keys with --nested)");
    app.add_option("--name", raw.name,
                   "what the host tools call the VM (default: lab-PID)");
    app.add_option("--json", raw.json, "write a report here, - for stdout");
    app.add_option("--html", raw.html,
                   "write a page with tables and plots here, - for stdout");
    app.add_option("--keep-logs", raw.keep_logs,
                   "keep consoles and command lines in this folder");
    app.add_option("--timeout", raw.timeout,
                   "seconds without a sign of life (console, answer, output of "
                   "the workload) after which a guest has hung; a run that "
                   "advances may take any time")
        ->capture_default_str();
    app.add_option("--retries", raw.retries,
                   "run a mode so many times again when the host starved its "
                   "guest, which else ends the lab with status 1")
        ->capture_default_str();
    app.add_option("--repeat", raw.repeat,
                   "run each mode so often, in turns, and off twice as often, "
                   "and show what differs beyond chance")
        ->capture_default_str();
    app.add_option("--seed", raw.seed,
                   "of the order in which repetitions run their modes, and of "
                   "the intervals (default: any, which is shown)");
    app.add_option("--sweep", raw.sweep,
                   "run all of it for each of these values, as in cpus=4,8; "
                   "several make all combinations: append, cpus, irqchip, "
                   "isolated, mem, pti; repeatable")
        ->allow_extra_args(false);
    app.add_flag("--nested", raw.nested,
                 "isolated vCPUs run nested guests in place of the loops");
    app.add_flag("--list-workloads", raw.list_workloads,
                 "list the built-in workloads");
}

Options check_options(const RawOptions& raw, const fs::path& guest_programs)
{
    Options options;
    options.cpus = check_within("--cpus", raw.cpus, 2, kMostGuestCpus);
    options.isolated = check_isolated(raw.isolated, raw.cpus);
    options.housekeeping = complement(options.isolated, raw.cpus);
    (void)parse_memory("--mem", raw.memory, kLeastMemoryMib, kMostMemoryMib);
    options.memory = raw.memory;
    options.accel = check_accel(raw.accel);
    options.modes =
        check_modes(raw.modes ? *raw.modes : default_modes(options.accel));
    if (options.accel != Accel::kKvm &&
        std::ranges::find(options.modes, Mode::kKvm) != options.modes.end())
        refuse_option("--modes", "'kvm' needs --accel kvm");
    options.irqchip = check_irqchip(raw.irqchip, options.accel);
    options.pin = parse_host_cpus("--pin", raw.pin, options.isolated.size(),
                                  "isolated vCPUs", Sharing::kRefused);
    options.qemu = check_qemu(raw.qemu);

    options.kernel = check_kernel(raw.kernel);
    options.initrd = if_given("--initrd", raw.initrd, readable);
    options.modules = if_given("--modules", raw.modules, check_folder);
    const fs::path beside =
        fs::path{or_environment(raw.kernel, "IPIDEFER_KERNEL", "--kernel")} /
        "modules";
    if (!options.modules && fs::is_directory(beside)) options.modules = beside;
    options.overlay = if_given("--overlay", raw.overlay, check_folder);
    options.append = raw.append;
    options.workloads = check_workloads(
        !raw.workloads.empty()
            ? raw.workloads
            : std::vector<std::string>{raw.nested ? kDefaultNestedWorkload
                                                  : kDefaultWorkload},
        guest_programs);
    options.nested = raw.nested;
    if (raw.nested && options.accel != Accel::kTcg)
        refuse_option("--nested",
                      "needs --accel tcg, where QEMU emulates virtualization");
    if (raw.nested && !options.modules)
        refuse_option("--nested",
                      "needs KVM's modules: a --kernel folder, or --modules");
    options.name =
        raw.name.empty() ? "lab-" + std::to_string(::getpid()) : raw.name;
    if (options.name.size() >= IPIDEFER_SEGMENT_NAME)
        refuse_option("--name", in_quotes(raw.name) + " is longer than " +
                                    std::to_string(IPIDEFER_SEGMENT_NAME - 1) +
                                    " bytes");
    options.shm_folder = raw.shm_folder;
    check_output("--json", raw.json);
    options.json = raw.json;
    check_output("--html", raw.html);
    options.html = raw.html;
    if (raw.json == "-" && raw.html == "-")
        refuse_option("--html", "standard output is that of --json already");
    if (!raw.keep_logs.empty()) options.keep_logs = raw.keep_logs;
    options.timeout = check_timeout(raw.timeout);
    if (raw.retries > kMostRetries)
        refuse_option("--retries", std::to_string(raw.retries) +
                                       " is more than " +
                                       std::to_string(kMostRetries));
    options.retries = raw.retries;
    options.repeat = check_within("--repeat", raw.repeat, 1, kMostRepetitions);
    options.seed = check_seed(raw);
    options.guest_programs = guest_programs;
    options.busybox = find_busybox();
    return options;
}

std::vector<std::string> built_in_workloads(const fs::path& guest_programs)
{
    std::vector<std::string> names;
    for (const auto& entry :
         fs::directory_iterator{guest_programs / "workloads"})
        names.push_back(entry.path().stem().string());
    std::ranges::sort(names);
    return names;
}

}  // namespace ipidefer::lab
