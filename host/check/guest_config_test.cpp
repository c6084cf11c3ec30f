// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/check/guest_config.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "base/failure.hpp"

namespace ipidefer::check {
namespace {

/// What the series needs, and no more.
constexpr const char* kGood[] = {
    "X86_64=y",           "SMP=y",          "NR_CPUS=64",
    "NO_HZ_FULL=y",       "IPI_DEFER=y",    "HAVE_CONTEXT_TRACKING_WORK=y",
    "CPU_ISOLATION=y",    "RCU_NOCB_CPU=y", "CONTEXT_TRACKING_USER=y",
    "TASKS_TRACE_RCU=y",  "JUMP_LABEL=y",   "TASKS_TRACE_RCU_READ_MB=y",
    "HYPERVISOR_GUEST=y", "PARAVIRT=y",     "KVM_GUEST=y",
    "SCHED_DEBUG=y",      "DEBUG_FS=y",     "RCU_WATCHING_BITS=26",
};

/// The good one, with one option set to something else; "n" is how a
/// configuration says that one is not set.
std::string with(const std::string& option, const std::string& value)
{
    std::string text = "# Linux/x86 6.12.117 Kernel Configuration\n";
    for (const std::string line : kGood)
        if (!line.starts_with(option + '=')) text += "CONFIG_" + line + '\n';
    if (value == "n") return text + "# CONFIG_" + option + " is not set\n";
    return text + "CONFIG_" + option + '=' + value + '\n';
}

/// The good one, which does not mention an option.
std::string without(const std::string& option)
{
    std::string text;
    for (const std::string line : kGood)
        if (!line.starts_with(option + '=')) text += "CONFIG_" + line + '\n';
    return text;
}

Finding finding(const std::string& text, const std::string& name)
{
    for (const Finding& f : guest_config_findings(text))
        if (f.name == "guest." + name) return f;
    return {name, Grade::kSkip, "not there", ""};
}

/// How many findings do not pass: one defect is not blamed on other options.
long complaints(const std::string& text)
{
    return std::ranges::count_if(
        guest_config_findings(text),
        [](const Finding& f) { return f.grade != Grade::kPass; });
}

TEST(GuestConfig, GoodOnePassesEverything)
{
    const auto findings = guest_config_findings(with("SMP", "y"));
    EXPECT_EQ(findings.size(), 12u);
    for (const Finding& f : findings) {
        EXPECT_EQ(f.grade, Grade::kPass) << f.name << ": " << f.what;
        EXPECT_TRUE(f.remedy.empty()) << f.name;
    }
}

struct Defect {
    const char* option;
    const char* value;
    const char* name;
    Grade grade;
    const char* what;    // part of it
    const char* remedy;  // part of it
};

void PrintTo(const Defect& defect, std::ostream* out)
{
    *out << defect.option << '=' << defect.value;
}

class GuestConfigDefect : public ::testing::TestWithParam<Defect> {};

TEST_P(GuestConfigDefect, IsTheOnlyOneAndHasARemedy)
{
    const Defect& defect = GetParam();
    const std::string text = with(defect.option, defect.value);
    const Finding found = finding(text, defect.name);
    EXPECT_EQ(found.grade, defect.grade) << found.what;
    EXPECT_NE(found.what.find(defect.what), std::string::npos) << found.what;
    EXPECT_NE(found.remedy.find(defect.remedy), std::string::npos)
        << found.remedy;
    EXPECT_EQ(complaints(text), 1);
}

INSTANTIATE_TEST_SUITE_P(
    EachOption, GuestConfigDefect,
    ::testing::Values(
        Defect{"X86_64", "n", "x86_64", Grade::kFail, "not for x86-64",
               "64-bit x86"},
        Defect{"IPI_DEFER", "n", "ipi_defer", Grade::kFail,
               "CONFIG_IPI_DEFER is not set", "CONFIG_IPI_DEFER=y"},
        Defect{"NO_HZ_FULL", "n", "nohz_full", Grade::kFail, "without ticks",
               "CONFIG_NO_HZ_FULL=y"},
        Defect{"CPU_ISOLATION", "n", "cpu_isolation", Grade::kFail, "no effect",
               "CONFIG_CPU_ISOLATION=y"},
        Defect{"RCU_NOCB_CPU", "n", "rcu_nocb", Grade::kWarn, "callbacks",
               "CONFIG_RCU_NOCB_CPU=y"},
        Defect{"CONTEXT_TRACKING_USER", "n", "context_tracking", Grade::kFail,
               "does not track", "CONFIG_NO_HZ_FULL=y"},
        Defect{"CONTEXT_TRACKING_USER_FORCE", "y", "context_tracking",
               Grade::kWarn, "all CPUs track",
               "unset CONFIG_CONTEXT_TRACKING_USER_FORCE"},
        Defect{"TASKS_TRACE_RCU_READ_MB", "n", "tasks_trace", Grade::kWarn,
               "NR_CPUS is 64", "CONFIG_RCU_EXPERT=y"},
        Defect{"JUMP_LABEL", "n", "jump_label", Grade::kWarn, "variables",
               "CONFIG_JUMP_LABEL=y"},
        Defect{"HYPERVISOR_GUEST", "n", "kvm_guest", Grade::kWarn,
               "CONFIG_HYPERVISOR_GUEST is not set", "CONFIG_KVM_GUEST=y"},
        Defect{"PARAVIRT", "n", "kvm_guest", Grade::kWarn,
               "CONFIG_PARAVIRT is not set", "CONFIG_KVM_GUEST=y"},
        Defect{"KVM_GUEST", "n", "kvm_guest", Grade::kWarn,
               "CONFIG_KVM_GUEST is not set", "CONFIG_KVM_GUEST=y"},
        Defect{"SCHED_DEBUG", "n", "fair_server", Grade::kWarn,
               "cannot be stopped", "CONFIG_SCHED_DEBUG=y"},
        Defect{"DEBUG_FS", "n", "fair_server", Grade::kWarn,
               "cannot be stopped", "CONFIG_DEBUG_FS=y"},
        Defect{"RCU_WATCHING_BITS", "2", "rcu_counter", Grade::kWarn, "2 bits",
               "CONFIG_RCU_WATCHING_BITS=26"},
        Defect{"RCU_WATCHING_BITS", "many", "rcu_counter", Grade::kWarn,
               "many bits", "CONFIG_RCU_WATCHING_BITS=26"},
        Defect{"IPI_DEFER_FAULTS", "y", "faults", Grade::kWarn,
               "CONFIG_IPI_DEFER_FAULTS", "production"},
        Defect{"IPI_DEFER_TEST", "y", "faults", Grade::kWarn,
               "CONFIG_IPI_DEFER_TEST", "production"},
        Defect{"IPI_DEFER_PLANT_OFFENDER", "y", "faults", Grade::kWarn,
               "CONFIG_IPI_DEFER_PLANT_OFFENDER", "production"}));

TEST(GuestConfig, KernelWithoutTheSeriesIsToldToGetIt)
{
    std::string text;
    for (const std::string line : kGood)
        if (line.find("IPI_DEFER") == std::string::npos &&
            !line.starts_with("HAVE_CONTEXT_TRACKING_WORK"))
            text += "CONFIG_" + line + '\n';
    const Finding found = finding(text, "ipi_defer");
    EXPECT_EQ(found.grade, Grade::kFail);
    EXPECT_EQ(found.what, "the kernel's source knows no CONFIG_IPI_DEFER");
}

TEST(GuestConfig, OptionThatIsNotMentionedIsNotSet)
{
    EXPECT_EQ(finding(without("NO_HZ_FULL"), "nohz_full").grade, Grade::kFail);
    EXPECT_EQ(finding(without("KVM_GUEST"), "kvm_guest").grade, Grade::kWarn);
}

/// A module would come too late.
TEST(GuestConfig, ModuleIsNotBuiltIn)
{
    EXPECT_EQ(finding(with("JUMP_LABEL", "m"), "jump_label").grade,
              Grade::kWarn);
}

TEST(GuestConfig, TasksTraceOnlyMattersWhereItIsUsed)
{
    const std::string text = without("TASKS_TRACE_RCU") +
                             "# CONFIG_TASKS_TRACE_RCU_READ_MB is not set\n";
    EXPECT_EQ(finding(text, "tasks_trace").what,
              "nothing uses RCU Tasks Trace");
}

/// Two options of the same kind are one finding, which names both.
TEST(GuestConfig, AllDeliberateBugsAreNamed)
{
    const std::string text =
        with("IPI_DEFER_FAULTS", "y") + "CONFIG_IPI_DEFER_TEST=y\n";
    EXPECT_NE(finding(text, "faults")
                  .what.find("CONFIG_IPI_DEFER_FAULTS, CONFIG_IPI_DEFER_TEST"),
              std::string::npos);
}

TEST(GuestConfig, LinesOfWindowsAreRead)
{
    std::string text = with("SMP", "y");
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;
         at += 2)
        text.insert(at, 1, '\r');
    EXPECT_EQ(complaints(text), 0);
}

TEST(GuestConfig, WhatIsNoConfigurationIsRefused)
{
    for (const char* text : {"", "<domain/>", "# CONFIG_SMP\n",
                             "XCONFIG_SMP=y\n", "#CONFIG_SMP=y\n"})
        EXPECT_THROW((void)guest_config_findings(text), Failure) << text;
}

std::string gzip(const std::string& text)
{
    z_stream stream{};
    constexpr int kGzip = 16, kMemory = 8;
    EXPECT_EQ(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                           MAX_WBITS + kGzip, kMemory, Z_DEFAULT_STRATEGY),
              Z_OK);
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

TEST(GuestConfigText, IsTheSameCompressedOrNot)
{
    const std::string text = with("SMP", "y");
    EXPECT_EQ(guest_config_text(text), text);
    EXPECT_EQ(guest_config_text(gzip(text)), text);
}

TEST(GuestConfigText, DamagedGzipIsRefused)
{
    std::string file = gzip(with("SMP", "y"));
    EXPECT_THROW((void)guest_config_text(file.substr(0, file.size() - 9)),
                 Failure);
    file[file.size() / 2] ^= 0x55;
    EXPECT_THROW((void)guest_config_text(file), Failure);
}

TEST(GuestConfigText, AsMuchAsIsReadAndNoMore)
{
    const std::string most(kMostConfigBytes, '#');
    EXPECT_EQ(guest_config_text(most), most);
    EXPECT_EQ(guest_config_text(gzip(most)), most);
    EXPECT_THROW((void)guest_config_text(most + '#'), Failure);
    EXPECT_THROW((void)guest_config_text(gzip(most + '#')), Failure);
    EXPECT_THROW((void)guest_config_text("\x1f\x8b" + most), Failure);
}

}  // namespace
}  // namespace ipidefer::check
