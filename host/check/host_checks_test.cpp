// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/check/host_checks.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::check {
namespace {

namespace fs = std::filesystem;

class HostChecks : public ::testing::Test {
  protected:
    void write(const std::string& path, const std::string& text)
    {
        const fs::path file = root_.path() / path;
        fs::create_directories(file.parent_path());
        std::ofstream{file} << text << '\n';
    }
    /// A host with four CPUs, of which 2-3, one core, are isolated.
    void good_host()
    {
        const std::string cpu = "sys/devices/system/cpu/";
        write(cpu + "isolated", "2-3");
        write(cpu + "nohz_full", "2-3");
        for (const char* one : {"2", "3"})
            write(cpu + "cpu" + one + "/topology/thread_siblings_list", "2-3");
        write("proc/irq/default_smp_affinity", "3");
        write("sys/devices/system/clocksource/clocksource0/current_clocksource",
              "tsc");
        write("dev/kvm", "");
        write("sys/module/kvm_amd/parameters/avic", "0");
    }
    Finding finding(const std::string& name)
    {
        for (const Finding& f : host_findings(root_.path(), root_.path()))
            if (f.name == name) return f;
        return {name, Grade::kFail, "not there", ""};
    }
    Grade grade(const std::string& name) { return finding(name).grade; }

    shm::test::TemporaryFolder root_;
};

TEST_F(HostChecks, GoodHostPassesEverything)
{
    good_host();
    for (const Finding& f : host_findings(root_.path(), root_.path())) {
        EXPECT_EQ(f.grade, Grade::kPass) << f.name << ": " << f.what;
        EXPECT_TRUE(f.remedy.empty());
    }
}

TEST_F(HostChecks, EmptyHostIsWarnedAboutWithRemedies)
{
    for (const Finding& f : host_findings(root_.path(), "/nonexistent"))
        EXPECT_EQ(f.grade == Grade::kPass || f.grade == Grade::kSkip,
                  f.remedy.empty())
            << f.name;
    EXPECT_EQ(grade("isolcpus"), Grade::kWarn);
    EXPECT_EQ(grade("nohz_full"), Grade::kWarn);
    EXPECT_EQ(grade("tsc"), Grade::kWarn);
    EXPECT_EQ(finding("kvm").what,
              "/dev/kvm cannot be used (No such file or directory): VMs run "
              "under TCG, QEMU's interpreter");
}

TEST_F(HostChecks, WhatCannotBeLookedAtIsSkippedAndSaid)
{
    for (const char* name : {"irqaffinity", "smt"}) {
        EXPECT_EQ(grade(name), Grade::kSkip);
        EXPECT_EQ(finding(name).what, "not looked at: no CPU is isolated");
    }
    EXPECT_EQ(grade("ipi-virtualization"), Grade::kSkip);

    good_host();
    fs::remove_all(root_.path() / "sys/devices/system/cpu/cpu3");
    EXPECT_EQ(grade("smt"), Grade::kSkip);
    EXPECT_EQ(finding("smt").what,
              "not looked at: what shares a core with isolated CPUs 3 cannot "
              "be read");
}

TEST_F(HostChecks, FolderThatCannotBeWrittenIsAFailure)
{
    const auto findings = host_findings(root_.path(), "/nonexistent");
    ASSERT_EQ(findings.front().name, "segments");
    EXPECT_EQ(findings.front().grade, Grade::kFail);
}

TEST_F(HostChecks, EachDefectIsNamedWithItsCpus)
{
    good_host();
    write("sys/devices/system/cpu/nohz_full", "2");
    EXPECT_EQ(finding("nohz_full").what, "isolated CPUs 3 have ticks");
    write("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "1,3");
    EXPECT_EQ(finding("smt").what,
              "isolated CPUs 3 share a core with CPUs that are not");
    write("proc/irq/default_smp_affinity", "00000000,0000000f");
    EXPECT_EQ(finding("irqaffinity").what,
              "new interrupts may go to isolated CPUs 2-3");
    write("sys/devices/system/clocksource/clocksource0/current_clocksource",
          "hpet");
    EXPECT_EQ(finding("tsc").what, "the host's clock is hpet");
}

TEST_F(HostChecks, IpiVirtualizationIsWarnedAboutWhereItIsOn)
{
    good_host();
    write("sys/module/kvm_intel/parameters/enable_ipiv", "N");
    EXPECT_EQ(grade("kvm_intel.enable_ipiv"), Grade::kPass);
    write("sys/module/kvm_intel/parameters/enable_ipiv", "Y");
    EXPECT_EQ(grade("kvm_intel.enable_ipiv"), Grade::kWarn);
    write("sys/module/kvm_amd/parameters/avic", "1");
    EXPECT_EQ(grade("kvm_amd.avic"), Grade::kWarn);
}

TEST_F(HostChecks, AffinityThatCannotBeReadIsSaid)
{
    good_host();
    fs::remove(root_.path() / "proc/irq/default_smp_affinity");
    EXPECT_EQ(finding("irqaffinity").what,
              "where interrupts go cannot be read");
}

TEST_F(HostChecks, NonsenseInFilesIsNoIsolation)
{
    good_host();
    write("sys/devices/system/cpu/isolated", "(null)");
    EXPECT_EQ(grade("isolcpus"), Grade::kWarn);
    write("sys/devices/system/cpu/isolated", "x-y");
    EXPECT_EQ(grade("isolcpus"), Grade::kWarn);
}

}  // namespace
}  // namespace ipidefer::check
