// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_checks.hpp"

#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "cpulist.hpp"
#include "failure.hpp"
#include "text.hpp"

namespace ipidefer::check {
namespace {

namespace fs = std::filesystem;

/// As many as Linux can be built for.
constexpr unsigned kMostCpus = 8192;

std::optional<std::string> first_line(const fs::path& file)
{
    std::ifstream in{file};
    std::string line;
    if (!in) return std::nullopt;
    std::getline(in, line);
    return std::string{trimmed(line)};
}

/// A list of CPUs; empty when the file is missing, empty or says "(null)".
CpuSet cpus_in(const fs::path& file)
{
    const auto text = first_line(file);
    if (!text || text->empty() || text->starts_with('(')) return {};
    try {
        return parse_cpulist(*text, kMostCpus);
    } catch (const Failure&) {
        return {};
    }
}

/// A hexadecimal mask in groups of 32 bits, as in /proc/irq: "ff,ffffff0f".
CpuSet cpus_of_mask(const std::string& text)
{
    CpuSet cpus;
    unsigned cpu = 0;
    for (auto digit = text.rbegin(); digit != text.rend(); ++digit) {
        if (*digit == ',') continue;
        const auto value =
            number_of<unsigned>(std::string_view{&*digit, 1}, 16);
        if (!value) return {};
        for (unsigned bit = 0; bit < 4; ++bit, ++cpu)
            if ((*value >> bit & 1) != 0) cpus.insert(cpu);
    }
    return cpus;
}

CpuSet both(const CpuSet& a, const CpuSet& b)
{
    CpuSet common;
    for (const unsigned cpu : a)
        if (b.contains(cpu)) common.insert(cpu);
    return common;
}

class Checks {
  public:
    Checks(fs::path root, fs::path shm)
        : root_{std::move(root)},
          shm_{std::move(shm)},
          isolated_{cpus_in(root_ / "sys/devices/system/cpu/isolated")}
    {
    }

    std::vector<Finding> run()
    {
        segments();
        isolation();
        ticks();
        // About isolated CPUs, which there may be none of.
        if (!isolated_.empty()) {
            siblings();
            interrupts();
        }
        clock();
        ipi_virtualization("kvm_intel", "enable_ipiv", "IPI virtualization");
        ipi_virtualization("kvm_amd", "avic", "AVIC");
        return std::move(findings_);
    }

  private:
    void pass(const std::string& name, const std::string& what)
    {
        findings_.push_back({name, Grade::kPass, what, ""});
    }
    void warn(const std::string& name, const std::string& what,
              const std::string& remedy)
    {
        findings_.push_back({name, Grade::kWarn, what, remedy});
    }

    void segments()
    {
        if (::access(shm_.c_str(), W_OK | X_OK) == 0)
            return pass("segments",
                        "VMs can put segments into " + shm_.string());
        findings_.push_back({"segments", Grade::kFail,
                             shm_.string() + " is not a folder to write to",
                             "mount a tmpfs there, or give --shm-dir"});
    }

    void isolation()
    {
        if (!isolated_.empty())
            return pass("isolcpus",
                        "CPUs " + format_cpulist(isolated_) + " are isolated");
        warn("isolcpus", "no CPU is isolated from the scheduler",
             "boot with isolcpus=domain,managed_irq,CPUS, for the CPUs that "
             "isolated vCPUs are pinned to");
    }

    void ticks()
    {
        const CpuSet nohz = cpus_in(root_ / "sys/devices/system/cpu/nohz_full");
        CpuSet ticking;
        for (const unsigned cpu : isolated_)
            if (!nohz.contains(cpu)) ticking.insert(cpu);
        if (!nohz.empty() && ticking.empty())
            return pass("nohz_full",
                        "CPUs " + format_cpulist(nohz) + " run without ticks");
        warn("nohz_full",
             ticking.empty()
                 ? "no CPU runs without ticks"
                 : "isolated CPUs " + format_cpulist(ticking) + " have ticks",
             "boot with nohz_full=CPUS");
    }

    void siblings()
    {
        CpuSet shared;
        for (const unsigned cpu : isolated_)
            for (const unsigned sibling :
                 cpus_in(root_ / "sys/devices/system/cpu" /
                         ("cpu" + std::to_string(cpu)) /
                         "topology/thread_siblings_list"))
                if (!isolated_.contains(sibling)) shared.insert(cpu);
        if (shared.empty())
            return pass("smt", "no isolated CPU shares its core with others");
        warn("smt",
             "isolated CPUs " + format_cpulist(shared) +
                 " share a core with CPUs that are not",
             "isolate their siblings too, or switch SMT off");
    }

    void interrupts()
    {
        const auto text = first_line(root_ / "proc/irq/default_smp_affinity");
        if (!text)
            return warn("irqaffinity", "where interrupts go cannot be read",
                        "look at /proc/irq/default_smp_affinity as root");
        const CpuSet hit = both(cpus_of_mask(*text), isolated_);
        if (hit.empty())
            return pass("irqaffinity", "new interrupts avoid isolated CPUs");
        warn("irqaffinity",
             "new interrupts may go to isolated CPUs " + format_cpulist(hit),
             "boot with irqaffinity=CPUS, those that are not isolated");
    }

    void clock()
    {
        const auto source = first_line(
            root_ /
            "sys/devices/system/clocksource/clocksource0/current_clocksource");
        if (source == "tsc") return pass("tsc", "the TSC is the host's clock");
        warn("tsc", "the host's clock is " + source.value_or("not known"),
             "times in traces may drift; see the kernel's log for why the TSC "
             "is not trusted");
    }

    /// On: guests under KVM send IPIs past the hypervisor.
    void ipi_virtualization(const std::string& module,
                            const std::string& parameter,
                            const std::string& name)
    {
        const auto value = first_line(root_ / "sys/module" / module /
                                      "parameters" / parameter);
        if (!value) return;  // another vendor's CPU, or no KVM
        if (*value != "Y" && *value != "1")
            return pass(module + "." + parameter, name + " is off");
        warn(module + "." + parameter,
             name + " sends IPIs of KVM guests past the hypervisor",
             "guests need a VMM with the doorbell; or modprobe " + module +
                 " " + parameter + "=0");
    }

    fs::path root_;
    fs::path shm_;
    CpuSet isolated_;
    std::vector<Finding> findings_;
};

}  // namespace

std::string_view to_string(Grade grade) noexcept
{
    switch (grade) {
        case Grade::kPass:
            return "pass";
        case Grade::kWarn:
            return "warn";
        case Grade::kFail:
            return "fail";
    }
    return "?";
}

std::vector<Finding> host_findings(const fs::path& root, const fs::path& shm)
{
    return Checks{root, shm}.run();
}

}  // namespace ipidefer::check
