// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/options.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/failure_testing.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"
#include "experiments/lab/kvm_report.hpp"
#include "experiments/lab/pin.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

/// A folder with everything that options may name, and options that do.
class OptionsTest : public testing::Test {
  protected:
    OptionsTest()
    {
        fs::create_directories(programs_ / "workloads");
        for (const char* name : {"mixed.sh", "idle.sh"})
            std::ofstream{programs_ / "workloads" / name};
        fs::create_directories(kernel_ / "modules");
        std::ofstream{kernel_ / "bzImage"};
        std::ofstream{scratch_.path() / "mine.sh"};
        raw_.qemu = "/bin/sh";
        raw_.kernel = kernel_.string();
        ::unsetenv("IPIDEFER_QEMU");
        ::unsetenv("IPIDEFER_KERNEL");
    }

    [[nodiscard]] Options check() const
    {
        return check_options(raw_, programs_);
    }

    [[nodiscard]] std::string refusal() const
    {
        return refusal_of([this] { return check(); });
    }

    Scratch scratch_;
    fs::path programs_ = scratch_.path() / "guest";
    fs::path kernel_ = scratch_.path() / "kernel";
    RawOptions raw_;
};

TEST_F(OptionsTest, VmHasANameOfItsOwnUnlessItIsGivenOne)
{
    EXPECT_EQ(check().name, "lab-" + std::to_string(::getpid()));
    EXPECT_TRUE(check().shm_folder.empty());
    raw_.name = "web1";
    EXPECT_EQ(check().name, "web1");
    raw_.name = std::string(128, 'x');
    EXPECT_EQ(refusal(),
              "--name: '" + raw_.name + "' is longer than 127 bytes");
}

TEST_F(OptionsTest, DefaultsAreTheWholeExperiment)
{
    const Options options = check();
    EXPECT_EQ(options.modes,
              (std::vector<Mode>{Mode::kOff, Mode::kGuest, Mode::kHv}));
    EXPECT_EQ(options.isolated, (CpuSet{2, 3}));
    EXPECT_EQ(options.housekeeping, (CpuSet{0, 1}));
    EXPECT_EQ(options.accel, Accel::kTcg);
    ASSERT_EQ(options.workloads.size(), 1u);
    EXPECT_EQ(options.workloads[0].name, "mixed");
}

TEST_F(OptionsTest, FolderOfAKernelBringsItsModules)
{
    const Options options = check();
    EXPECT_EQ(options.kernel, kernel_ / "bzImage");
    EXPECT_EQ(options.modules, kernel_ / "modules");
}

TEST_F(OptionsTest, BareKernelHasNoModules)
{
    raw_.kernel = (kernel_ / "bzImage").string();
    EXPECT_EQ(check().modules, std::nullopt);
}

TEST_F(OptionsTest, EnvironmentNamesWhatTheCommandLineDoesNot)
{
    raw_.qemu.clear();
    EXPECT_EQ(refusal(),
              "--qemu: not given, and IPIDEFER_QEMU is not set in the "
              "environment");
    ::setenv("IPIDEFER_QEMU", "/bin/sh", 1);
    EXPECT_EQ(check().qemu, "/bin/sh");
}

TEST_F(OptionsTest, Modes)
{
    raw_.modes = "hv,off";
    EXPECT_EQ(check().modes, (std::vector<Mode>{Mode::kHv, Mode::kOff}));
    raw_.modes = "off,on";
    EXPECT_EQ(refusal(), "--modes: 'on' is not one of off, guest, hv, kvm");
    raw_.modes = "";
    EXPECT_EQ(refusal(), "--modes: '' is not one of off, guest, hv, kvm");
    raw_.modes = "hv,kvm";
    EXPECT_EQ(refusal(), "--modes: 'kvm' needs --accel kvm");
    raw_.modes = "off,off";
    EXPECT_EQ(refusal(), "--modes: 'off' is there twice");
}

/// It had three of them, and said that they were all.
TEST_F(OptionsTest, ManPageKnowsEveryMode)
{
    const std::string page = read_whole(IPIDEFER_LAB_MAN_PAGE);
    const auto begin = page.find("*--modes* LIST");
    ASSERT_NE(begin, std::string::npos);
    const auto modes = page.substr(begin, page.find("\n\n", begin) - begin);
    for (const Mode mode : kModes)
        EXPECT_NE(modes.find('*' + std::string{name(mode)} + '*'),
                  std::string::npos)
            << name(mode);
    EXPECT_NE(modes.find("Default: off,guest,hv"), std::string::npos) << modes;
}

TEST_F(OptionsTest, Cpus)
{
    raw_.cpus = 65;
    EXPECT_EQ(refusal(), "--cpus: 65 is not within 2 and 64");
    raw_.cpus = 1;
    EXPECT_EQ(refusal(), "--cpus: 1 is not within 2 and 64");
    raw_.cpus = 3;
    EXPECT_EQ(refusal(),
              "--isolated: CPU list '2-3': no CPU 3, the last one is 2");
}

TEST_F(OptionsTest, CpuZeroCannotBeIsolated)
{
    raw_.isolated = "0-1";
    EXPECT_EQ(refusal(),
              "--isolated: '0-1' names CPU 0, which is always housekeeping");
}

TEST_F(OptionsTest, Memory)
{
    for (const char* good : {"128M", "512M", "64G", "65536M"}) {
        raw_.memory = good;
        EXPECT_EQ(check().memory, good);
    }
    for (const char* bad : {"127M", "65G", "65537M", "0G", "4194304G"}) {
        raw_.memory = bad;
        EXPECT_EQ(refusal(), std::string{"--mem: '"} + bad +
                                 "' is not within 128M and 64G");
    }
    for (const char* bad : {"512", "M", "1.5G", "512K", ""}) {
        raw_.memory = bad;
        EXPECT_EQ(refusal(),
                  std::string{"--mem: '"} + bad +
                      "' is not a number of megabytes or gigabytes, as in "
                      "512M or 2G");
    }
}

TEST_F(OptionsTest, Accelerators)
{
    raw_.accel = "auto";
    EXPECT_EQ(check().accel, Accel::kTcg);
    raw_.accel = "kvm";
    EXPECT_EQ(check().accel, Accel::kKvm);
    raw_.accel = "xen";
    EXPECT_EQ(refusal(), "--accel: 'xen' is not one of auto, tcg, kvm");
}

TEST_F(OptionsTest, FilesThatAreNotThereAreNamed)
{
    raw_.kernel = "/nonexistent";
    EXPECT_EQ(refusal(), "--kernel: '/nonexistent' is not a readable file");
    raw_.kernel = kernel_.string();
    raw_.overlay = "/nonexistent";
    EXPECT_EQ(refusal(), "--overlay: '/nonexistent' is not a folder");
    raw_.overlay.clear();
    raw_.initrd = kernel_.string();
    EXPECT_EQ(refusal(),
              "--initrd: '" + kernel_.string() + "' is not a readable file");
    raw_.initrd.clear();
    raw_.qemu = kernel_.string();
    EXPECT_EQ(refusal(), "--qemu: '" + kernel_.string() + "' is not a program");
}

TEST_F(OptionsTest, WorkloadsAreBuiltInOrFiles)
{
    raw_.workloads = {"idle", (scratch_.path() / "mine.sh").string()};
    const auto workloads = check().workloads;
    EXPECT_EQ(workloads[0].script, programs_ / "workloads" / "idle.sh");
    EXPECT_EQ(workloads[1].name, "mine.sh");
    raw_.workloads = {"none"};
    EXPECT_EQ(refusal(),
              "--workload: 'none' is neither a file nor one of: idle mixed");
    raw_.workloads = {"idle", "idle"};
    EXPECT_EQ(refusal(), "--workload: two are named 'idle'");
}

TEST_F(OptionsTest, Repetitions)
{
    EXPECT_EQ(check().repeat, 1u);
    raw_.repeat = 1000;
    raw_.seed = 4294967295;
    EXPECT_EQ(check().repeat, 1000u);
    EXPECT_EQ(check().seed, 4294967295u);
    raw_.seed = 4294967296;
    EXPECT_EQ(refusal(), "--seed: 4294967296 is more than 4294967295");
    raw_.seed.reset();
    for (const unsigned bad : {0u, 1001u}) {
        raw_.repeat = bad;
        EXPECT_EQ(refusal(), "--repeat: " + std::to_string(bad) +
                                 " is not within 1 and 1000");
    }
    raw_.repeat = 1;
    raw_.seed = 1;
    EXPECT_EQ(refusal(), "--seed: means nothing without --repeat");
    // Whoever names none gets any.
    raw_.repeat = 2;
    raw_.seed.reset();
    const auto seed = check().seed;
    EXPECT_TRUE(seed != check().seed || seed != check().seed);
}

TEST_F(OptionsTest, IrqchipIsOfKvm)
{
    raw_.irqchip = "off";
    EXPECT_EQ(refusal(), "--irqchip: 'off' is not one of on, split");
    raw_.irqchip = "split";
    EXPECT_EQ(refusal(), "--irqchip: 'split' needs --accel kvm");
    raw_.accel = "kvm";
    EXPECT_EQ(check().irqchip, "split");
}

TEST_F(OptionsTest, EachIsolatedVcpuIsPinnedToOneCpu)
{
    EXPECT_TRUE(check().pin.empty());
    raw_.pin = "5,7";
    EXPECT_EQ(check().pin, (std::vector<unsigned>{5, 7}));
    raw_.pin = "5";
    EXPECT_EQ(refusal(), "--pin: '5' names 1 host CPUs for 2 isolated vCPUs");
    raw_.pin = "5-7";
    EXPECT_EQ(refusal(), "--pin: '5-7' names 3 host CPUs for 2 isolated vCPUs");
    raw_.pin = "5,5";
    EXPECT_EQ(refusal(),
              "--pin: '5,5' names host CPU 5 twice: each of 2 isolated vCPUs "
              "needs one of its own");
    raw_.pin = "5,1024";
    EXPECT_EQ(refusal(), "--pin '5,1024': '1024' is not within 0 and 1023");
}

/// They were sorted, so that the first vCPU had the CPU that was meant for the
/// second.
TEST_F(OptionsTest, PinKeepsTheOrder)
{
    raw_.pin = "7,5";
    EXPECT_EQ(check().pin, (std::vector<unsigned>{7, 5}));
}

TEST_F(OptionsTest, PinnedToCpusThatThereAre)
{
    const auto refusal = [](const std::vector<unsigned>& hosts) {
        return refusal_of([&] { check_pin(hosts, {0, 1, 2, 3}); });
    };
    EXPECT_EQ(refusal({3, 2}), "");
    EXPECT_EQ(refusal({3, 77}), "--pin: 77 is not one of the host's CPUs, 0-3");
}

TEST_F(OptionsTest, ReportsAreWrittenWhereThereIsAFolder)
{
    raw_.json = "/nope/x";
    EXPECT_EQ(refusal(),
              "--json: '/nope/x' cannot be written: there is no folder "
              "'/nope'");
    raw_.json = "-";
    raw_.html = "/nope/x";
    EXPECT_EQ(refusal(),
              "--html: '/nope/x' cannot be written: there is no folder "
              "'/nope'");
    raw_.html = "-";
    EXPECT_EQ(refusal(), "--html: standard output is that of --json already");
}

/// It tried KVM and booted the box before it looked at them.
TEST_F(OptionsTest, KvmReportChecksAllOfItsOptionsFirst)
{
    KvmReportOptions good;
    good.qemu = raw_.qemu;
    good.kernel = raw_.kernel;
    const auto refusal = [&](const KvmReportOptions& options) {
        return refusal_of(
            [&] { return check_kvm_report_options(options, programs_); });
    };
    EXPECT_EQ(refusal(good), "");
    KvmReportOptions bad = good;
    bad.output = "/nope/x";
    EXPECT_EQ(refusal(bad),
              "--output: '/nope/x' cannot be written: there is no folder "
              "'/nope'");
    bad.output = "";
    EXPECT_EQ(refusal(bad), "--output: '' is no file");
    bad = good;
    bad.pin = "77";
    EXPECT_EQ(refusal(bad),
              "--pin: '77' names 1 host CPUs for 2 isolated vCPUs");
    bad = good;
    bad.workload = "none";
    EXPECT_TRUE(refusal(bad).starts_with("--workload: 'none' is neither"));
    bad = good;
    bad.rounds = 501;
    EXPECT_EQ(refusal(bad), "--rounds: 501 is not within 1 and 500");
}

TEST_F(OptionsTest, Timeout)
{
    raw_.timeout = 4;
    EXPECT_EQ(refusal(), "--timeout: 4 is not within 5 and 86400 seconds");
}

TEST_F(OptionsTest, Retries)
{
    EXPECT_EQ(check().retries, 0u);
    raw_.retries = 101;
    EXPECT_EQ(refusal(), "--retries: 101 is more than 100");
}

TEST_F(OptionsTest, NestedHasAWorkloadOfItsOwnAndNeedsTcgAndModules)
{
    std::ofstream{programs_ / "workloads" / "static-keys.sh"};
    raw_.nested = true;
    const Options options = check();
    EXPECT_TRUE(options.nested);
    ASSERT_EQ(options.workloads.size(), 1u);
    EXPECT_EQ(options.workloads[0].name, "static-keys");
    raw_.accel = "kvm";
    EXPECT_TRUE(refusal().starts_with("--nested: needs --accel tcg"));
    raw_.accel = "tcg";
    raw_.kernel = (kernel_ / "bzImage").string();
    EXPECT_TRUE(refusal().starts_with("--nested: needs KVM's modules"));
}

}  // namespace
}  // namespace ipidefer::lab
