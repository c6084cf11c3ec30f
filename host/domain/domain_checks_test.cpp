// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/domain_checks.hpp"

#include <gtest/gtest.h>
#include <ipidefer/ipidefer.h>

#include "host/domain/domain_testing.hpp"
#include "host/domain/plan.hpp"

namespace ipidefer::domain {
namespace {

using check::Finding;
using check::Grade;

class DomainChecks : public ::testing::Test {
  protected:
    DomainChecks()
    {
        PlanOptions options;
        options.isolated = CpuSet{2, 3};
        xml_ = make_plan(test::kDirect, options, test::host(), test::patched())
                   .xml;
        input_.host = test::host();
        input_.emulator = test::patched();
    }
    void change(const std::string& from, const std::string& to)
    {
        xml_ = test::replaced(xml_, from, to);
    }
    std::vector<Finding> all()
    {
        input_.domain = read_domain(xml_);
        return domain_findings(input_);
    }
    Finding finding(const std::string& name)
    {
        for (const Finding& finding : all())
            if (finding.name == "domain." + name) return finding;
        ADD_FAILURE() << "no finding " << name;
        return {};
    }
    Grade grade(const std::string& name) { return finding(name).grade; }

    segment::VmStatus& run()
    {
        input_.running.emplace();
        auto& status = input_.running->status.emplace();
        status.name = "lab";
        status.policy.enabled = true;
        for (std::uint32_t vcpu = 0; vcpu < 4; ++vcpu) {
            segment::VcpuStatus one;
            one.vcpu = vcpu;
            one.isolated = vcpu >= 2;
            one.bound = true;
            status.vcpus.push_back(one);
        }
        return status;
    }

    std::string xml_;
    CheckInput input_;
};

TEST_F(DomainChecks, WhatThePlanMakesPassesEverything)
{
    run();
    for (const Finding& f : all()) {
        EXPECT_EQ(f.grade, Grade::kPass) << f.name << ": " << f.what;
        EXPECT_TRUE(f.remedy.empty()) << f.name;
    }
}

TEST_F(DomainChecks, PlainDomainIsToldEverythingWithRemedies)
{
    xml_ = test::kPlain;
    unsigned fails = 0;
    for (const Finding& f : all()) {
        EXPECT_EQ(f.grade == Grade::kPass || f.grade == Grade::kSkip,
                  f.remedy.empty())
            << f.name;
        fails += f.grade == Grade::kFail ? 1 : 0;
    }
    EXPECT_EQ(fails, 2u);  // object, vcpupin
    EXPECT_EQ(grade("object"), Grade::kFail);
    EXPECT_EQ(grade("vcpupin"), Grade::kFail);
    EXPECT_EQ(grade("emulatorpin"), Grade::kWarn);
    EXPECT_EQ(grade("kernel"), Grade::kWarn);
}

TEST_F(DomainChecks, ObjectThatCannotWorkFails)
{
    change("isolated-cpus=2-3", "isolated-cpus=2-9");
    EXPECT_EQ(finding("object").what,
              "isolated-cpus are 2-9, and the domain has vCPUs 0 to 3");
    change("isolated-cpus=2-9", "isolated-cpus=x");
    EXPECT_EQ(grade("object"), Grade::kFail);
    change("isolated-cpus=x", "isolated-cpus=2-3,enabled=off");
    EXPECT_EQ(grade("object"), Grade::kWarn);
}

TEST_F(DomainChecks, EmulatorIsAsked)
{
    input_.emulator->knows_object = false;
    EXPECT_EQ(grade("emulator"), Grade::kFail);
    input_.emulator->runs = false;
    EXPECT_EQ(grade("emulator"), Grade::kFail);
    input_.emulator.reset();
    EXPECT_EQ(grade("emulator"), Grade::kWarn);
}

TEST_F(DomainChecks, GuestNeedsAWayToDefer)
{
    EXPECT_EQ(finding("accelerator").what, "TCG: QEMU sees every ICR write");
    change("segment=on", "segment=on,icr=off");
    EXPECT_EQ(grade("accelerator"), Grade::kFail);
    change("icr=off", "icr=off,doorbell=on");
    EXPECT_EQ(grade("accelerator"), Grade::kPass);
    change("type=\"qemu\"", "type=\"kvm\"");
    EXPECT_EQ(grade("accelerator"), Grade::kPass);
    change("doorbell=on", "doorbell=off");
    EXPECT_EQ(grade("accelerator"), Grade::kFail);
    change("doorbell=off", "doorbell=auto");
    input_.emulator->properties.erase("doorbell");
    EXPECT_EQ(grade("accelerator"), Grade::kFail);
}

TEST_F(DomainChecks, DomainWithoutAnythingToDeferFails)
{
    EXPECT_EQ(grade("fitness"), Grade::kPass);
    change("type=\"qemu\"", "type=\"xen\"");
    EXPECT_EQ(grade("fitness"), Grade::kFail);
}

TEST_F(DomainChecks, IrqchipAndBypassAreNamed)
{
    change("type=\"qemu\"", "type=\"kvm\"");
    EXPECT_EQ(finding("accelerator").what,
              "KVM, in-kernel irqchip: the guest uses the doorbell");
    change("<devices/>",
           "<features><ioapic driver='qemu'/></features><devices/>");
    input_.ipis_bypass_kvm = true;
    EXPECT_EQ(finding("accelerator").what,
              "KVM, split irqchip: the guest uses the doorbell; AVIC or IPI "
              "virtualization is on, and does not matter to it");
}

TEST_F(DomainChecks, HostWithoutKvmIsSaid)
{
    input_.kvm_complaint = "/dev/kvm cannot be used";
    EXPECT_EQ(grade("accelerator"), Grade::kPass);  // TCG needs none
    change("type=\"qemu\"", "type=\"kvm\"");
    EXPECT_EQ(grade("accelerator"), Grade::kWarn);
    EXPECT_EQ(finding("accelerator").what,
              "KVM, in-kernel irqchip: the guest uses the doorbell; but on "
              "this host /dev/kvm cannot be used");
}

TEST_F(DomainChecks, CoresOfCpusThatAreNotThereAreNotJudged)
{
    input_.host.online = {0, 1};
    input_.host.siblings = {{0, {0, 1}}, {1, {0, 1}}};
    EXPECT_EQ(grade("smt"), Grade::kSkip);
    EXPECT_EQ(finding("smt").what,
              "not looked at: what shares a core with CPUs 4,6 is not known "
              "on this host");
}

TEST_F(DomainChecks, PinsAreNamedWithWhatIsWrong)
{
    change("vcpu=\"3\" cpuset=\"6\"", "vcpu=\"3\" cpuset=\"4\"");
    EXPECT_EQ(finding("vcpupin").what,
              "vCPU 2 shares CPU 4 with another isolated vCPU; vCPU 3 shares "
              "CPU 4 with another isolated vCPU");
    change("vcpu=\"3\" cpuset=\"4\"", "vcpu=\"3\" cpuset=\"6-7\"");
    EXPECT_EQ(finding("vcpupin").what,
              "vCPU 3 is pinned to CPUs 6-7, not to one");
    change("emulatorpin cpuset=\"0-3\"", "emulatorpin cpuset=\"4\"");
    EXPECT_EQ(grade("emulatorpin"), Grade::kFail);
    change("iothread=\"1\" cpuset=\"0-3\"", "iothread=\"1\" cpuset=\"4-5\"");
    EXPECT_EQ(grade("iothreadpin"), Grade::kFail);
    change("vcpu=\"0\" cpuset=\"0-3\"", "vcpu=\"0\" cpuset=\"4-5\"");
    EXPECT_EQ(grade("vcpupin-others"), Grade::kFail);
}

TEST_F(DomainChecks, HostHasToIsolateTheSameCpus)
{
    input_.host.nohz_full = {4};
    EXPECT_EQ(finding("host-isolation").what,
              "isolated vCPUs' CPUs 6 have ticks on this host");
    input_.host.isolated = {4};
    EXPECT_EQ(finding("host-isolation").what,
              "isolated vCPUs' CPUs 6 are not isolated on this host");
    input_.host.online = {0, 1};
    EXPECT_EQ(grade("host-isolation"), Grade::kFail);
}

TEST_F(DomainChecks, SiblingsOfIsolatedVcpusAreSeen)
{
    EXPECT_EQ(grade("smt"), Grade::kPass);  // 5 and 7 are idle
    change("vcpu=\"0\" cpuset=\"0-3\"", "vcpu=\"0\" cpuset=\"7\"");
    EXPECT_EQ(finding("smt").what,
              "isolated vCPUs share cores with CPUs 7, where other vCPUs run");
    input_.host.isolated = {4, 6};
    change("vcpu=\"0\" cpuset=\"7\"", "vcpu=\"0\" cpuset=\"0-3\"");
    EXPECT_EQ(finding("smt").what,
              "isolated vCPUs share cores with CPUs 5,7, which are not "
              "isolated");
}

TEST_F(DomainChecks, RealtimeHintIsComparedWithThePins)
{
    change("type=\"qemu\"", "type=\"kvm\"");
    EXPECT_EQ(grade("hint-dedicated"), Grade::kPass);
    change("<devices/>",
           "<features><kvm><hint-dedicated state='on'/></kvm></features>"
           "<devices/>");
    EXPECT_EQ(grade("hint-dedicated"), Grade::kWarn);
    change("vcpu=\"0\" cpuset=\"0-3\"", "vcpu=\"0\" cpuset=\"0\"");
    change("vcpu=\"1\" cpuset=\"0-3\"", "vcpu=\"1\" cpuset=\"1\"");
    EXPECT_EQ(grade("hint-dedicated"), Grade::kPass);
    change("state='on'", "state='off'");
    EXPECT_EQ(grade("hint-dedicated"), Grade::kWarn);
}

TEST_F(DomainChecks, KernelHasToBeTold)
{
    change("nohz_full=2-3", "nohz_full=3");
    EXPECT_EQ(grade("kernel"), Grade::kWarn);
    change("ipi_defer=hv", "ipi_defer=off");
    EXPECT_EQ(grade("kernel"), Grade::kFail);
    change("ipi_defer=off", "quiet");
    EXPECT_EQ(finding("kernel").what,
              "the guest's kernel is not told to defer");
}

TEST_F(DomainChecks, GuestThatHasNotRegisteredIsSeen)
{
    auto& status = run();
    status.vcpus[3].bound = false;
    EXPECT_EQ(finding("guest").what,
              "the guest has not registered isolated vCPUs 3");
    for (auto& vcpu : status.vcpus) vcpu.bound = false;
    EXPECT_EQ(grade("guest"), Grade::kFail);
    input_.running = Running{std::nullopt, "no such VM"};
    EXPECT_EQ(finding("guest").what,
              "what the guest does cannot be seen: no such VM");
}

TEST_F(DomainChecks, PolicyInForceIsCompared)
{
    auto& status = run();
    status.vcpus[2].isolated = false;
    EXPECT_EQ(finding("policy").what,
              "the policy isolates vCPUs 3, the domain says 2-3");
    status.policy.enabled = false;
    EXPECT_EQ(finding("policy").what, "the kill switch is on");
}

}  // namespace
}  // namespace ipidefer::domain
