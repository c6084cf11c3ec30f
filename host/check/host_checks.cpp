// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/check/host_checks.hpp"

#include <unistd.h>

#include <optional>

#include "base/cpulist.hpp"
#include "base/text.hpp"
#include "host/check/host_cpus.hpp"

namespace ipidefer::check {
namespace {

namespace fs = std::filesystem;

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

class Checks {
  public:
    Checks(fs::path root, fs::path shm)
        : root_{std::move(root)},
          shm_{std::move(shm)},
          cpus_{read_host_cpus(root_)}
    {
    }

    std::vector<Finding> run()
    {
        segments();
        isolation();
        ticks();
        // About isolated CPUs, which there may be none of.
        if (!cpus_.isolated.empty()) {
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
        if (!cpus_.isolated.empty())
            return pass("isolcpus", "CPUs " + format_cpulist(cpus_.isolated) +
                                        " are isolated");
        warn("isolcpus", "no CPU is isolated from the scheduler",
             "boot with isolcpus=domain,managed_irq,CPUS, for the CPUs that "
             "isolated vCPUs are pinned to");
    }

    void ticks()
    {
        const CpuSet& nohz = cpus_.nohz_full;
        CpuSet ticking;
        for (const unsigned cpu : cpus_.isolated)
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
        for (const unsigned cpu : cpus_.isolated)
            if (!both(cpus_.siblings[cpu], cpus_.siblings_of(cpus_.isolated))
                     .empty())
                shared.insert(cpu);
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
        const CpuSet hit = both(cpus_of_mask(*text), cpus_.isolated);
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
    HostCpus cpus_;
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
