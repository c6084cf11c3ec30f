// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "host/domain/domain_testing.hpp"

namespace ipidefer::domain {
namespace {

using Kind = Change::Kind;
using test::kDirect;
using test::kPlain;
using test::replaced;

PlanOptions isolating(const CpuSet& isolated)
{
    PlanOptions options;
    options.isolated = isolated;
    return options;
}

Plan plan(const std::string& xml,
          const PlanOptions& options = isolating({2, 3}))
{
    return make_plan(xml, options, test::host(), test::patched());
}

std::string names(const Plan& plan, Kind kind)
{
    std::string all;
    for (const Change& change : plan.changes)
        if (change.kind == kind) all += change.name + ' ';
    return all;
}

TEST(Plan, PlainDomainGetsWhatItNeedsAndNothingElseChanges)
{
    const Plan made = plan(kPlain);
    EXPECT_EQ(
        made.xml,
        R"(<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <!-- the web server -->
  <name>web1</name>
  <uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>
  <memory unit='MiB'>512</memory>
  <vcpu placement='static'>4</vcpu>
  <cputune>
    <vcpupin vcpu='2' cpuset='4'/>
    <vcpupin vcpu='3' cpuset='6'/>
    <vcpupin vcpu='0' cpuset='0-3'/>
    <vcpupin vcpu='1' cpuset='0-3'/>
    <emulatorpin cpuset='0-3'/>
  </cputune>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <acpi/>
  </features>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>  <!-- odd spacing,
                                            kept -->
      <source file = "/srv/web1.img" />
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-object'/>
    <qemu:arg value='ipi-defer,id=defer0,isolated-cpus=2-3,segment=on'/>
  </qemu:commandline>
</domain>
)");
    EXPECT_FALSE(made.has(Kind::kConflict));
    EXPECT_EQ(names(made, Kind::kNote), "kernel ");
}

TEST(Plan, EveryLineThatWasThereStillIs)
{
    for (const std::string& xml : {kPlain, kDirect}) {
        const Plan made = plan(xml);
        const auto after = lines_of(made.xml);
        std::size_t at = 0;
        for (const auto line : lines_of(xml)) {
            if (line.find("<domain ") != line.npos ||
                line.find("<cmdline>") != line.npos ||
                line.find("<devices/>") != line.npos)
                continue;
            while (at < after.size() && after[at] != line) ++at;
            EXPECT_LT(at, after.size()) << line;
        }
    }
}

TEST(Plan, OnItsOwnResultItChangesNothing)
{
    for (const std::string& xml : {kPlain, kDirect}) {
        const std::string once = plan(xml).xml;
        const Plan again = plan(once);
        EXPECT_EQ(again.xml, once);
        EXPECT_FALSE(again.has(Kind::kChange)) << names(again, Kind::kChange);
        EXPECT_FALSE(again.has(Kind::kConflict));
        // And knows by itself what is isolated.
        EXPECT_EQ(plan(once, PlanOptions{}).xml, once);
    }
}

TEST(Plan, DirectlyBootedKernelIsTold)
{
    const Domain domain = read_domain(plan(kDirect).xml);
    EXPECT_EQ(domain.command_line,
              "console=ttyS0 ipi_defer=hv nohz_full=2-3 "
              "isolcpus=managed_irq,domain,2-3 irqaffinity=0-1 -- single");
    EXPECT_EQ(domain.iothread_pins.at(1), (CpuSet{0, 1, 2, 3}));
}

TEST(Plan, IothreadsArePinnedByTheirIds)
{
    const Domain domain =
        read_domain(plan(replaced(kDirect, "<iothreads>1</iothreads>",
                                  "<iothreadids><iothread id=\"5\"/><iothread "
                                  "id=\"6\"/></iothreadids>"))
                        .xml);
    EXPECT_EQ(domain.iothread_pins.size(), 2u);
    EXPECT_EQ(domain.iothread_pins.at(5), (CpuSet{0, 1, 2, 3}));
    EXPECT_EQ(domain.iothread_pins.at(6), (CpuSet{0, 1, 2, 3}));
}

/// Minutes, if each pin read the text anew.
TEST(Plan, ThousandsOfVcpusGetACpuEach)
{
    constexpr unsigned kVcpus = 4096;
    PlanOptions options = isolating({});
    options.host_isolated.emplace();
    for (unsigned vcpu = 1; vcpu < kVcpus; ++vcpu) {
        options.isolated->insert(vcpu);
        options.host_isolated->insert(7 + vcpu);
    }
    const Plan made =
        plan(replaced(kPlain, ">4</vcpu>", ">4096</vcpu>"), options);
    EXPECT_FALSE(made.has(Kind::kConflict));
    const Domain domain = read_domain(made.xml);
    for (unsigned vcpu = 1; vcpu < kVcpus; ++vcpu)
        ASSERT_EQ(domain.vcpu_pins.at(vcpu), CpuSet{7 + vcpu});

    // All of them moved, in place.
    options.replace = true;
    options.host_isolated->clear();
    for (unsigned vcpu = 1; vcpu < kVcpus; ++vcpu)
        options.host_isolated->insert(10'000 + vcpu);
    const Plan moved = plan(made.xml, options);
    EXPECT_EQ(lines_of(moved.xml).size(), lines_of(made.xml).size());
    const Domain there = read_domain(moved.xml);
    for (unsigned vcpu = 1; vcpu < kVcpus; ++vcpu)
        ASSERT_EQ(there.vcpu_pins.at(vcpu), CpuSet{10'000 + vcpu});
    EXPECT_FALSE(plan(moved.xml, options).has(Kind::kChange));
}

TEST(Plan, QuotesAreTheDocumentsOwn)
{
    EXPECT_NE(plan(kDirect).xml.find("<vcpupin vcpu=\"2\" cpuset=\"4\"/>"),
              std::string::npos);
}

TEST(Plan, EmulatorIsReplacedWhenAsked)
{
    PlanOptions options = isolating({2, 3});
    options.emulator = "/opt/qemu";
    EXPECT_EQ(read_domain(plan(kPlain, options).xml).emulator, "/opt/qemu");
    EXPECT_EQ(read_domain(plan(kDirect, options).xml).emulator, "/opt/qemu");
}

TEST(Plan, EmulatorWithoutTheObjectIsAConflict)
{
    Emulator stock;
    stock.runs = true;
    stock.complaint = "no";
    const Plan made = make_plan(kPlain, isolating({2, 3}), test::host(), stock);
    EXPECT_EQ(names(made, Kind::kConflict), "emulator ");
    // An older series has no segment.
    const Emulator old{true, true, {"isolated-cpus"}, ""};
    EXPECT_EQ(make_plan(kPlain, isolating({2, 3}), test::host(), old)
                  .xml.find("segment"),
              std::string::npos);
}

TEST(Plan, SettingsOfOthersAreReportedAndKept)
{
    const std::string mine = plan(kDirect).xml;
    struct Case {
        std::string from;
        std::string to;
        std::string name;
    };
    for (const Case& c : {
             Case{"vcpu=\"2\" cpuset=\"4\"", "vcpu=\"2\" cpuset=\"4-5\"",
                  "vcpupin "},
             Case{"vcpu=\"2\" cpuset=\"4\"", "vcpu=\"2\" cpuset=\"6\"",
                  "vcpupin vcpupin "},
             Case{"emulatorpin cpuset=\"0-3\"", "emulatorpin cpuset=\"0-5\"",
                  "emulatorpin "},
             Case{"iothread=\"1\" cpuset=\"0-3\"",
                  "iothread=\"1\" cpuset=\"6\"", "iothreadpin "},
             Case{"vcpu=\"0\" cpuset=\"0-3\"", "vcpu=\"0\" cpuset=\"4\"",
                  "vcpupin "},
             Case{"isolated-cpus=2-3", "isolated-cpus=1", "object "},
             Case{"nohz_full=2-3", "nohz_full=3", "cmdline "},
             Case{"nohz_full=2-3", "nohz_full=2-9", "cmdline "},
             Case{"isolcpus=managed_irq,domain,2-3", "isolcpus=1", "cmdline "},
             Case{"ipi_defer=hv", "ipi_defer=guest", "cmdline "},
             Case{"irqaffinity=0-1", "irqaffinity=0-2", "cmdline "},
         }) {
        const std::string theirs = replaced(mine, c.from, c.to);
        const Plan made = plan(theirs);
        EXPECT_EQ(names(made, Kind::kConflict), c.name) << c.to;
        EXPECT_EQ(made.xml, theirs) << c.to;
        PlanOptions replace = isolating({2, 3});
        replace.replace = true;
        const Plan changed = plan(theirs, replace);
        EXPECT_FALSE(changed.has(Kind::kConflict)) << c.to;
        EXPECT_FALSE(plan(changed.xml).has(Kind::kConflict)) << c.to;
        EXPECT_FALSE(plan(changed.xml).has(Kind::kChange)) << c.to;
    }
}

TEST(Plan, SettingsOfOthersThatDoAreNoConflict)
{
    const std::string mine = plan(kDirect).xml;
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{
             {"vcpu=\"2\" cpuset=\"4\"", "vcpu=\"2\" cpuset=\"7\""},
             {"emulatorpin cpuset=\"0-3\"", "emulatorpin cpuset=\"1\""},
             {"vcpu=\"0\" cpuset=\"0-3\"", "vcpu=\"0\" cpuset=\"5\""},
             {"nohz_full=2-3", "nohz_full=1-3"},
             {"nohz_full=2-3", "nohz_full=1-N"},
             {"isolcpus=managed_irq,domain,2-3",
              "isolcpus=managed_irq,domain,1-N"},
             {"vcpu=\"2\" cpuset=\"4\"", "vcpu=\"2\" cpuset=\" 4, 5,^5 \""},
             {"segment=on", "segment=off"}}) {
        const std::string theirs = replaced(mine, from, to);
        const Plan made = plan(theirs);
        EXPECT_EQ(made.xml, theirs);
        EXPECT_EQ(made.changes.size(), 0u) << to;
    }
}

TEST(Plan, CpuThatSomebodyHasGivenToOthersIsNotTaken)
{
    const std::string xml = replaced(
        kPlain, "<os>", "<cputune><emulatorpin cpuset='4'/></cputune>\n  <os>");
    const Domain domain = read_domain(plan(xml).xml);
    // CPU 5 shares its core, and is only taken for want of another one.
    EXPECT_EQ(domain.vcpu_pins.at(2), CpuSet{6});
    EXPECT_EQ(domain.vcpu_pins.at(3), CpuSet{5});
    EXPECT_EQ(domain.emulator_pin, CpuSet{4});
}

TEST(Plan, HostCpusCanBeChosen)
{
    PlanOptions options = isolating({1, 3});
    options.host_isolated = CpuSet{1, 2};
    options.host_housekeeping = CpuSet{0};
    const Domain domain = read_domain(plan(kPlain, options).xml);
    EXPECT_EQ(domain.vcpu_pins.at(1), CpuSet{1});
    EXPECT_EQ(domain.vcpu_pins.at(3), CpuSet{2});
    EXPECT_EQ(domain.vcpu_pins.at(0), CpuSet{0});
    EXPECT_EQ(domain.emulator_pin, CpuSet{0});
}

TEST(Plan, RealtimeHintOnlyWhereItIsTrue)
{
    const std::string hint = "<hint-dedicated state='on'/>";
    EXPECT_EQ(plan(kPlain).xml.find(hint), std::string::npos);
    const std::string own = replaced(
        kPlain, "<os>",
        "<cputune>\n    <vcpupin vcpu='0' cpuset='0'/>\n    <vcpupin vcpu='1' "
        "cpuset='1'/>\n  </cputune>\n  <os>");
    EXPECT_NE(plan(own).xml.find("    <acpi/>\n    <kvm>\n      " + hint +
                                 "\n    </kvm>\n"),
              std::string::npos);
    // Nor where somebody does not want it, nor for TCG.
    const std::string off =
        replaced(own, "<acpi/>", "<kvm><hint-dedicated state='off'/></kvm>");
    EXPECT_EQ(plan(off).xml.find(hint), std::string::npos);
    EXPECT_EQ(plan(replaced(own, "type='kvm'", "type='qemu'")).xml.find(hint),
              std::string::npos);
}

TEST(Plan, ObjectJoinsArgumentsThatAreThere)
{
    const std::string xml = replaced(
        replaced(kPlain, "<domain type='kvm'>",
                 "<domain type='kvm' xmlns:q='" + std::string{kQemuNamespace} +
                     "'>"),
        "</domain>",
        "  <q:commandline>\n    <q:arg value='-s'/>\n  </q:commandline>\n"
        "</domain>");
    EXPECT_NE(plan(xml).xml.find(
                  "    <q:arg value='-s'/>\n    <q:arg value='-object'/>\n"
                  "    <q:arg value='ipi-defer,id=defer0,isolated-cpus=2-3,"
                  "segment=on'/>\n  </q:commandline>\n"),
              std::string::npos)
        << plan(xml).xml;
}

TEST(Plan, NamespaceCountsAndNotItsPrefix)
{
    const std::string ns{kQemuNamespace};
    const std::string xml =
        replaced(kPlain, "</domain>",
                 "  <commandline xmlns='" + ns +
                     "'>\n    <arg value='-s'/>\n  </commandline>\n</domain>");
    const std::string made = plan(xml).xml;
    EXPECT_NE(made.find("    <arg value='-s'/>\n    <arg value='-object'/>\n"
                        "    <arg value='ipi-defer,id=defer0,isolated-cpus=2-3,"
                        "segment=on'/>\n  </commandline>\n"),
              std::string::npos)
        << made;
    EXPECT_EQ(made.find("qemu:"), std::string::npos) << made;
    EXPECT_EQ(plan(made).changes.size(), 1u);  // the note on the kernel
    // The object that is there is changed, whatever its prefix.
    PlanOptions replace = isolating({3});
    replace.replace = true;
    EXPECT_EQ(
        read_domain(plan(made, replace).xml).objects.at(0).object.isolated(),
        CpuSet{3});
}

TEST(Plan, PrefixOfAnotherNamespaceStaysTheirs)
{
    const std::string xml =
        replaced(kPlain, "<domain type='kvm'>",
                 "<domain type='kvm' xmlns:qemu='urn:other'>");
    const std::string made = plan(xml).xml;
    EXPECT_NE(made.find("<domain type='kvm' xmlns:qemu='urn:other'>"),
              std::string::npos);
    EXPECT_EQ(read_domain(made).objects.size(), 1u) << made;
    EXPECT_EQ(plan(made).xml, made);
}

TEST(Plan, SecondObjectIsAConflict)
{
    const std::string once = plan(kPlain).xml;
    const std::string twice =
        replaced(once, "  </qemu:commandline>",
                 "    <qemu:arg value='-object'/>\n    <qemu:arg "
                 "value='ipi-defer,id=x'/>\n  </qemu:commandline>");
    const Plan made = plan(twice);
    EXPECT_EQ(names(made, Kind::kConflict), "object ");
    EXPECT_EQ(made.xml, twice);
}

TEST(Plan, WhatDoesNotFitIsRefused)
{
    EXPECT_THROW((void)plan(kPlain, PlanOptions{}), Failure);
    EXPECT_THROW((void)plan(kPlain, isolating({0})), Failure);
    EXPECT_THROW((void)plan(kPlain, isolating({4})), Failure);
    PlanOptions few = isolating({1, 2, 3});
    few.host_isolated = CpuSet{4, 5};
    EXPECT_THROW((void)plan(kPlain, few), Failure);
    PlanOptions none = isolating({3});
    none.host_isolated = CpuSet{0};
    none.host_housekeeping = CpuSet{0};
    EXPECT_THROW((void)plan(kPlain, none), Failure);
    check::HostCpus ordinary{{0, 1}, {}, {}, {}};
    EXPECT_THROW(
        (void)make_plan(kPlain, isolating({3}), ordinary, test::patched()),
        Failure);
    EXPECT_THROW((void)plan("<network/>"), Failure);
}

}  // namespace
}  // namespace ipidefer::domain
