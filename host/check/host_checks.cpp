// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/check/host_checks.hpp"

#include <unistd.h>

#include <optional>

#include "base/cpulist.hpp"
#include "base/text.hpp"
#include "host/check/host_cpus.hpp"
#include "host/check/host_kvm.hpp"

namespace ipidefer::check {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoneIsolated = "no CPU is isolated";

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
        kvm();
        isolation();
        ticks();
        siblings();
        interrupts();
        clock();
        ipi_virtualization();
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

    void skip(const std::string& name, const std::string& why)
    {
        findings_.push_back({name, Grade::kSkip, "not looked at: " + why, ""});
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

    void kvm()
    {
        const auto complaint = kvm_complaint(root_);
        if (!complaint) return pass("kvm", "VMs can use KVM");
        warn("kvm", *complaint + ": VMs run under TCG, QEMU's interpreter",
             "modprobe kvm_intel or kvm_amd, with virtualization on in the "
             "firmware, and join the group of /dev/kvm");
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
        if (cpus_.isolated.empty()) return skip("smt", kNoneIsolated);
        if (const CpuSet unknown = cpus_.without_topology(cpus_.isolated);
            !unknown.empty())
            return skip("smt", "what shares a core with isolated CPUs " +
                                   format_cpulist(unknown) + " cannot be read");
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
        if (cpus_.isolated.empty()) return skip("irqaffinity", kNoneIsolated);
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
    void ipi_virtualization()
    {
        bool seen = false;
        for (const IpiVirtualization& kind : kIpiVirtualizations) {
            const auto on = kind.on(root_);
            if (!on) continue;  // another vendor's CPU
            seen = true;
            const std::string name =
                std::string{kind.module} + '.' + kind.parameter;
            const std::string what = kind.name;
            if (!*on) {
                pass(name, what + " is off");
                continue;
            }
            warn(name, what + " sends IPIs of KVM guests past the hypervisor",
                 std::string{"guests need a VMM with the doorbell; or "
                             "modprobe "} +
                     kind.module + ' ' + kind.parameter + "=0");
        }
        if (!seen)
            skip("ipi-virtualization",
                 "neither kvm_intel nor kvm_amd says whether it is on");
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
        case Grade::kSkip:
            return "skip";
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
