// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/fitness.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"
#include "host/domain/domain_testing.hpp"
#include "host/domain/plan.hpp"

namespace ipidefer::domain {
namespace {

std::string changed(const std::string& from, const std::string& to)
{
    return test::replaced(test::kPlain, from, to);
}

std::string with_arguments(const std::string& a, const std::string& b)
{
    return changed("</devices>", "</devices><commandline xmlns='" +
                                     std::string{kQemuNamespace} +
                                     "'><arg value='" + a + "'/><arg value='" +
                                     b + "'/></commandline>");
}

/// All reasons; and the plan must refuse what has any, with the first one.
std::string reasons(const std::string& xml)
{
    std::string all;
    for (const std::string& why : unfitness(read_domain(xml)))
        all += why + '\n';
    PlanOptions options;
    options.isolated = CpuSet{2};
    std::string refusal;
    try {
        (void)make_plan(xml, options, test::host(), test::patched());
    } catch (const Failure& failure) {
        refusal = failure.what();
    }
    EXPECT_EQ(all.empty(), refusal.empty()) << refusal;
    EXPECT_NE((refusal + '\n').find(all.substr(0, all.find('\n'))),
              std::string::npos)
        << refusal;
    return all;
}

bool has(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

TEST(Fitness, OrdinaryDomainsAreFit)
{
    EXPECT_EQ(reasons(test::kPlain), "");
    EXPECT_EQ(reasons(test::kDirect), "");
    EXPECT_EQ(reasons(changed(" arch='x86_64'", "")), "");
    EXPECT_EQ(reasons(changed("<on_reboot>",
                              "<cpu><feature policy='require' "
                              "name='hypervisor'/></cpu><on_reboot>")),
              "");
}

TEST(Fitness, OtherHypervisorsAreCalledWhatTheyAre)
{
    for (const auto& [type, words] :
         std::vector<std::pair<std::string, std::string>>{
             {"lxc", "containers"},
             {"xen", "Xen"},
             {"bhyve", "bhyve"},
             {"vmware", "VMware"},
             {"hvf", "Hypervisor.framework"},
             {"nothing", "neither kvm nor qemu"}}) {
        const std::string why =
            reasons(changed("type='kvm'", "type='" + type + "'"));
        EXPECT_TRUE(has(why, "type '" + type + "' is ")) << why;
        EXPECT_TRUE(has(why, words)) << why;
    }
    EXPECT_FALSE(has(reasons(changed("type='kvm'", "type='hvf'")), "not QEMU"));
}

TEST(Fitness, OtherArchitecturesAreRefused)
{
    for (const std::string arch :
         {"aarch64", "s390x", "ppc64le", "riscv64", "i686"})
        EXPECT_TRUE(
            has(reasons(changed("arch='x86_64'", "arch='" + arch + "'")),
                "arch '" + arch + "'"));
    EXPECT_TRUE(has(reasons(changed(">hvm<", ">exe<")), "os type 'exe'"));
}

TEST(Fitness, GuestsWhoseMemoryIsSealedAreRefused)
{
    for (const std::string type : {"sev", "sev-snp", "tdx", "other"})
        EXPECT_TRUE(has(
            reasons(changed("</devices>",
                            "</devices><launchSecurity type='" + type + "'/>")),
            "launchSecurity '" + type + "'"));
}

TEST(Fitness, HiddenHypervisorIsRefused)
{
    for (const std::string policy : {"disable", "forbid"})
        EXPECT_TRUE(has(
            reasons(changed("<on_reboot>", "<cpu><feature policy='" + policy +
                                               "' name='hypervisor'/></cpu>"
                                               "<on_reboot>")),
            "CPU feature hypervisor"));
    EXPECT_TRUE(has(reasons(with_arguments("-cpu", "host,-hypervisor")),
                    "CPU feature hypervisor"));
    EXPECT_EQ(reasons(with_arguments("-cpu", "host,-x2apic")), "");
}

TEST(Fitness, NameMustFitASegmentThatThereWillBe)
{
    const auto named = [](std::size_t bytes) {
        return changed(">web1<", '>' + std::string(bytes, 'n') + '<');
    };
    EXPECT_EQ(reasons(named(127)), "");
    EXPECT_TRUE(has(reasons(named(128)), "128 bytes"));
    EXPECT_TRUE(has(reasons(named(128)), "at most 127"));
    std::string own = with_arguments(
        "-object", "ipi-defer,id=d,isolated-cpus=2,segment-name=short");
    own.replace(own.find(">web1<"), 6, '>' + std::string(128, 'n') + '<');
    EXPECT_EQ(reasons(own), "");
}

}  // namespace
}  // namespace ipidefer::domain
