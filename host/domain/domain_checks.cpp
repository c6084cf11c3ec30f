// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/domain_checks.hpp"

#include <ipidefer/ipidefer.h>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "host/domain/fitness.hpp"
#include "host/domain/kernel_line.hpp"
#include "host/domain/seats.hpp"

namespace ipidefer::domain {
namespace {

using check::Finding;
using check::Grade;

constexpr const char* kRewrite = "ipidefer domain writes it";

class Checks {
  public:
    explicit Checks(const CheckInput& input) : in_{input}, domain_{input.domain}
    {
    }

    std::vector<Finding> run()
    {
        fitness();
        object();
        emulator();
        accelerator();
        segment();
        isolated_vcpus();
        others("emulatorpin", Seat::Who::kEmulator, "the emulator");
        others("vcpupin-others", Seat::Who::kVcpu,
               "vCPUs that are not isolated");
        if (!domain_.iothreads.empty())
            others("iothreadpin", Seat::Who::kIothread, "iothreads");
        host_isolation();
        siblings();
        if (domain_.type == "kvm") hint();
        kernel();
        if (in_.running) running(*in_.running);
        return std::move(findings_);
    }

  private:
    void add(const std::string& name, Grade grade, const std::string& what,
             const std::string& remedy = "")
    {
        findings_.push_back({"domain." + name, grade, what, remedy});
    }
    void pass(const std::string& name, const std::string& what)
    {
        add(name, Grade::kPass, what);
    }

    [[nodiscard]] const DeferObject* the_object() const
    {
        return domain_.objects.size() == 1 ? &domain_.objects[0].object
                                           : nullptr;
    }
    [[nodiscard]] bool says(const std::string& key, const std::string& a,
                            const std::string& b) const
    {
        const DeferObject* const own = the_object();
        const auto value = own == nullptr ? std::nullopt : own->get(key);
        return value && (*value == a || *value == b);
    }
    [[nodiscard]] bool off(const std::string& key) const
    {
        return says(key, "off", "false");
    }

    void fitness()
    {
        std::string all;
        for (const std::string& why : unfitness(domain_))
            all += (all.empty() ? "" : "; ") + why;
        if (!all.empty())
            return add("fitness", Grade::kFail, all,
                       "use a domain of type kvm or qemu, for x86_64, whose "
                       "memory QEMU may write");
        pass("fitness", "deferral can work in it: QEMU, x86_64");
    }

    void object()
    {
        const DeferObject* const own = the_object();
        if (own == nullptr)
            return add("object", Grade::kFail,
                       domain_.objects.empty()
                           ? "there is no ipi-defer object"
                           : "there is more than one ipi-defer object",
                       domain_.objects.empty() ? kRewrite : "leave one");
        try {
            isolated_ = own->isolated();
        } catch (const Failure& failure) {
            return add("object", Grade::kFail, failure.what(), kRewrite);
        }
        if (isolated_.empty())
            return add("object", Grade::kFail,
                       "the ipi-defer object names no isolated-cpus", kRewrite);
        if (*isolated_.rbegin() >= domain_.vcpus)
            return add("object", Grade::kFail,
                       "isolated-cpus are " + format_cpulist(isolated_) +
                           ", and the domain has vCPUs 0 to " +
                           std::to_string(domain_.vcpus - 1),
                       "correct them");
        if (off("enabled"))
            return add("object", Grade::kWarn, "the ipi-defer object is off",
                       "remove enabled=off");
        pass("object", "isolated vCPUs are " + format_cpulist(isolated_));
    }

    void emulator()
    {
        const std::string path = domain_.emulator.empty()
                                     ? "the default emulator"
                                     : printable(domain_.emulator);
        if (!in_.emulator)
            return add("emulator", Grade::kWarn, path + " was not asked",
                       "--probe runs it, if it may be trusted");
        if (!in_.emulator->runs)
            return add("emulator", Grade::kFail,
                       path + " cannot be run" +
                           (in_.emulator->complaint.empty()
                                ? ""
                                : ": " + in_.emulator->complaint),
                       "correct <emulator>");
        if (!in_.emulator->knows_object)
            return add("emulator", Grade::kFail,
                       path + " has no ipi-defer object",
                       "ipidefer domain --emulator PATH, of a QEMU with the "
                       "ipi-defer series");
        pass("emulator", path + " has the ipi-defer object");
    }

    void accelerator()
    {
        const bool no_icr = off("icr");
        const bool no_doorbell = off("doorbell");
        if (domain_.type == "qemu") {
            if (no_icr && !says("doorbell", "on", "true"))
                return add("accelerator", Grade::kFail,
                           "TCG with icr=off and no doorbell: the guest has no "
                           "way to defer",
                           "remove icr=off");
            return pass("accelerator", no_icr
                                           ? "TCG; the guest uses the doorbell"
                                           : "TCG: QEMU sees every ICR write");
        }
        if (domain_.type != "kvm") return;  // not fit, and said so
        const std::string irqchip = domain_.ioapic == "qemu"
                                        ? "KVM, split irqchip"
                                        : "KVM, in-kernel irqchip";
        if (no_doorbell)
            return add("accelerator", Grade::kFail,
                       irqchip +
                           ", and doorbell=off: the guest has no way to "
                           "defer",
                       "remove doorbell=off");
        if (in_.emulator && in_.emulator->knows_object &&
            !in_.emulator->properties.contains("doorbell"))
            return add("accelerator", Grade::kFail,
                       irqchip + ", and this QEMU has no doorbell",
                       "build QEMU with the whole series");
        std::string what = irqchip + ": the guest uses the doorbell";
        if (in_.ipis_bypass_kvm)
            what +=
                "; AVIC or IPI virtualization is on, and does not matter "
                "to it";
        // A file may be looked at elsewhere than where the domain will run.
        if (in_.kvm_complaint)
            return add("accelerator", Grade::kWarn,
                       what + "; but on this host " + *in_.kvm_complaint,
                       "look at it, and run it, where KVM is");
        pass("accelerator", what);
    }

    void segment()
    {
        if (says("segment", "on", "true"))
            return pass("segment", "host tools see it as '" +
                                       printable(domain_.segment_name()) + "'");
        if (in_.emulator && in_.emulator->knows_object &&
            !in_.emulator->properties.contains("segment"))
            return add("segment", Grade::kWarn,
                       "this QEMU shares no segment with host tools",
                       "build QEMU with the whole series");
        add("segment", Grade::kWarn, "no segment: host tools do not see the VM",
            kRewrite);
    }

    // ---- who runs where -----------------------------------------------------

    void isolated_vcpus()
    {
        if (isolated_.empty())
            return add("vcpupin", Grade::kFail, "no vCPU is isolated",
                       kRewrite);
        std::string wrong;
        CpuSet missing;
        for (const Seat& seat : seats(domain_, isolated_)) {
            if (!seat.isolated) continue;
            if (seat.fit == Fit::kMissing) missing.insert(seat.number);
            if (seat.fit == Fit::kWrong)
                wrong +=
                    (wrong.empty() ? "" : "; ") + seat.name() + ' ' + seat.why;
        }
        if (!missing.empty())
            wrong += (wrong.empty() ? "" : "; ") + std::string{"vCPUs "} +
                     format_cpulist(missing) + " are not pinned";
        if (!wrong.empty())
            return add("vcpupin", Grade::kFail, wrong,
                       "pin each isolated vCPU to a CPU of its own; ipidefer "
                       "domain does it");
        pass("vcpupin", "isolated vCPUs have CPUs " +
                            format_cpulist(taken_cpus(domain_, isolated_)) +
                            " of their own");
    }

    void others(const std::string& name, Seat::Who who, const std::string& what)
    {
        std::string wrong;
        bool missing = false;
        for (const Seat& seat : seats(domain_, isolated_)) {
            if (seat.isolated || seat.who != who) continue;
            if (!seat.why.empty())
                wrong +=
                    (wrong.empty() ? "" : "; ") + seat.name() + ' ' + seat.why;
            missing |= seat.fit == Fit::kMissing;
        }
        if (!wrong.empty())
            return add(name, Grade::kFail, wrong,
                       "keep it off them; ipidefer domain does it for what is "
                       "not pinned");
        if (missing)
            return add(name, Grade::kWarn,
                       what + " may run anywhere, also on isolated vCPUs' CPUs",
                       kRewrite);
        pass(name, what + ": off isolated vCPUs' CPUs");
    }

    void host_isolation()
    {
        const CpuSet taken = taken_cpus(domain_, isolated_);
        if (taken.empty())
            return add("host-isolation", Grade::kWarn,
                       "no isolated vCPU has a CPU yet", kRewrite);
        const CpuSet absent = in_.host.online.empty()
                                  ? CpuSet{}
                                  : without(taken, in_.host.online);
        if (!absent.empty())
            return add("host-isolation", Grade::kFail,
                       "CPUs " + format_cpulist(absent) +
                           " are not online on this host",
                       "pin isolated vCPUs to CPUs that are");
        const CpuSet shared = without(taken, in_.host.isolated);
        if (!shared.empty())
            return add("host-isolation", Grade::kWarn,
                       "isolated vCPUs' CPUs " + format_cpulist(shared) +
                           " are not isolated on this host",
                       "boot it with isolcpus=, or pin to CPUs that are");
        const CpuSet ticking = without(taken, in_.host.nohz_full);
        if (!ticking.empty())
            return add("host-isolation", Grade::kWarn,
                       "isolated vCPUs' CPUs " + format_cpulist(ticking) +
                           " have ticks on this host",
                       "boot it with nohz_full=");
        pass("host-isolation", "CPUs " + format_cpulist(taken) +
                                   " are isolated on this host, without ticks");
    }

    void siblings()
    {
        const CpuSet taken = taken_cpus(domain_, isolated_);
        if (taken.empty())
            return add("smt", Grade::kSkip,
                       "not looked at: no isolated vCPU has a CPU yet");
        if (const CpuSet unknown = in_.host.without_topology(taken);
            !unknown.empty())
            return add("smt", Grade::kSkip,
                       "not looked at: what shares a core with CPUs " +
                           format_cpulist(unknown) +
                           " is not known on this host");
        // What shares a core, and may be busy.
        const CpuSet shared =
            without(in_.host.siblings_of(taken), in_.host.isolated);
        CpuSet own;
        for (const Seat& seat : seats(domain_, isolated_)) {
            if (seat.isolated || seat.who != Seat::Who::kVcpu) continue;
            const auto place = domain_.place_of_vcpu(seat.number);
            for (const unsigned cpu : in_.host.siblings_of(taken))
                if (place && place->contains(cpu)) own.insert(cpu);
        }
        if (shared.empty() && own.empty())
            return pass("smt", "no isolated vCPU shares a core with others");
        add("smt", Grade::kWarn,
            own.empty()
                ? "isolated vCPUs share cores with CPUs " +
                      format_cpulist(shared) + ", which are not isolated"
                : "isolated vCPUs share cores with CPUs " +
                      format_cpulist(own) + ", where other vCPUs run",
            "leave siblings idle, or switch SMT off");
    }

    // ---- the guest ----------------------------------------------------------

    void hint()
    {
        bool own = true;
        CpuSet used;
        for (unsigned vcpu = 0; vcpu < domain_.vcpus; ++vcpu) {
            const auto place = domain_.place_of_vcpu(vcpu);
            own = own && place && place->size() == 1 &&
                  used.insert(*place->begin()).second;
        }
        if (own == domain_.hint_dedicated)
            return pass("hint-dedicated",
                        own ? "KVM's realtime hint is on, and true"
                            : "KVM's realtime hint is off, as vCPUs share "
                              "host CPUs");
        if (own)
            return add("hint-dedicated", Grade::kWarn,
                       "each vCPU has a host CPU of its own, and the guest is "
                       "not told so",
                       kRewrite);
        add("hint-dedicated", Grade::kWarn,
            "the guest is told that vCPUs are never preempted, and some share "
            "host CPUs",
            "pin each vCPU to a CPU of its own, or remove <hint-dedicated>");
    }

    void kernel()
    {
        if (!domain_.direct_kernel)
            return add("kernel", Grade::kWarn,
                       "the guest boots by itself, and what its kernel is told "
                       "is not known",
                       "give it ipi_defer=hv nohz_full= and isolcpus= for " +
                           (isolated_.empty() ? std::string{"isolated vCPUs"}
                                              : format_cpulist(isolated_)));
        const std::string& line = domain_.command_line;
        const auto mode = kernel_parameter(line, "ipi_defer");
        if (!mode || *mode != "hv")
            return add("kernel", Grade::kFail,
                       mode ? "the guest's kernel has ipi_defer=" +
                                  printable(*mode) + ": QEMU defers nothing"
                            : "the guest's kernel is not told to defer",
                       "ipi_defer=hv on its command line");
        for (const char* name : {"nohz_full", "isolcpus"}) {
            const auto cpus = kernel_cpus(line, name, domain_.vcpus);
            if (!cpus || !without(isolated_, *cpus).empty())
                return add("kernel", Grade::kWarn,
                           std::string{"the guest's "} + name +
                               "= does not name all of vCPUs " +
                               format_cpulist(isolated_),
                           kRewrite);
        }
        pass("kernel", "the guest's kernel isolates vCPUs " +
                           format_cpulist(isolated_) + ", with ipi_defer=hv");
    }

    void running(const Running& running)
    {
        if (!running.status)
            return add("guest", Grade::kWarn,
                       "what the guest does cannot be seen: " + running.why_not,
                       "segment=on, and the rights to read the segment");
        const segment::VmStatus& status = *running.status;
        CpuSet bound;
        CpuSet expected;
        for (const auto& vcpu : status.vcpus) {
            if (vcpu.bound) bound.insert(vcpu.vcpu);
            if (isolated_.contains(vcpu.vcpu)) expected.insert(vcpu.vcpu);
        }
        const CpuSet unbound = without(expected, bound);
        if (bound.empty())
            add("guest", Grade::kFail,
                "the guest has registered no vCPU: it does not defer",
                "a guest kernel with the ipi_defer series, and ipi_defer=hv");
        else if (!unbound.empty())
            add("guest", Grade::kWarn,
                "the guest has not registered isolated vCPUs " +
                    format_cpulist(unbound),
                "bring them online in the guest");
        else
            pass("guest",
                 "the guest has registered vCPUs " + format_cpulist(bound));

        const auto& policy = status.policy;
        if (!policy.enabled)
            return add("policy", Grade::kWarn, "the kill switch is on",
                       "ipidefer policy " + printable(status.name) + " --on");
        CpuSet isolated;
        for (const auto& vcpu : status.vcpus)
            if (vcpu.isolated) isolated.insert(vcpu.vcpu);
        if (isolated != isolated_)
            return add(
                "policy", Grade::kWarn,
                "the policy isolates vCPUs " +
                    (isolated.empty() ? std::string{"none"}
                                      : format_cpulist(isolated)) +
                    ", the domain says " + format_cpulist(isolated_),
                "ipidefer policy " + printable(status.name) + " --isolated");
        const std::uint64_t deferred = status.total()[IPIDEFER_DEFERRED] +
                                       status.total()[IPIDEFER_COALESCED];
        pass("policy", "vCPUs " + format_cpulist(isolated) + "; " +
                           std::to_string(deferred) + " IPIs deferred so far");
    }

    const CheckInput& in_;
    const Domain& domain_;
    CpuSet isolated_;
    std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> domain_findings(const CheckInput& input)
{
    return Checks{input}.run();
}

}  // namespace ipidefer::domain
