// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer blame and check, as far as they need neither KVM nor tracefs.

#include <fstream>
#include <set>

#include "host/blame/remedy.hpp"
#include "host/cli/cli_testing.hpp"
#include "host/segment/open.hpp"

namespace ipidefer::cli {
namespace {

using namespace test;
using blame::Cause;

class BlameTest : public CliTest {
  protected:
    /// What it is refused with, behind the program's name.
    std::string refused(const Arguments& more)
    {
        Arguments all{"blame"};
        all.insert(all.end(), more.begin(), more.end());
        const auto result = run(all);
        EXPECT_EQ(result.status, kCannotRun) << result.output;
        constexpr std::string_view kProgram = "ipidefer: ";
        EXPECT_TRUE(result.output.starts_with(kProgram)) << result.output;
        return result.output.substr(kProgram.size());
    }
};

TEST_F(BlameTest, ProcessThatRunsNoVmIsNamed)
{
    EXPECT_NE(refused({"--pid", "999999999"}).find("no process 999999999"),
              std::string::npos);
    EXPECT_NE(
        refused({"--pid", std::to_string(::getpid())}).find("runs no vCPU"),
        std::string::npos);
    EXPECT_EQ(refused({"--pid", "0"}),
              "--pid: '0' is no process: PIDs begin with 1\n");
}

TEST_F(BlameTest, VmIsTheProcessThatHoldsItsSegment)
{
    // This one, which runs no vCPU; a reader has the segment open too.
    const TestVm vm{folder_.path(), "web"};
    const segment::OpenVm reader{folder_.path(), "web"};
    EXPECT_TRUE(refused({"web"}).starts_with(
        "process " + std::to_string(::getpid()) + " runs no vCPU"));
    EXPECT_TRUE(refused({vm.id()}).starts_with("process "));
}

TEST_F(BlameTest, VmThatThereIsNotIsNamed)
{
    EXPECT_EQ(refused({"wbe"}), "there is no VM 'wbe'\n");
    die_with_segment("old");
    EXPECT_EQ(
        refused({"old"}),
        "VM 'old' does not run: its segment is that of a VM that ended\n");
}

TEST_F(BlameTest, ExactlyOneVmIsNamed)
{
    const TestVm vm{folder_.path(), "web"};
    EXPECT_EQ(refused({}),
              "blame: whom? It needs one of VM, --domain NAME and --pid PID\n");
    for (const Arguments& both :
         {Arguments{"web", "--pid", "1"}, Arguments{"web", "--domain", "web"},
          Arguments{"--domain", "web", "--pid", "1"}})
        EXPECT_EQ(refused(both),
                  "blame: it looks at one VM at a time: one of VM, --domain "
                  "NAME and --pid PID\n");
}

TEST_F(BlameTest, DomainWithoutAPidFileIsRefusedWithWhatIsMissing)
{
    // libvirt knows no such domain, or there is none to ask.
    const auto result = run({"blame", "--domain", "ipidefer-no-such-domain"});
    EXPECT_NE(result.status, kDone);
    EXPECT_TRUE(result.output.starts_with(
        "ipidefer: --domain: there is no "
        "/run/libvirt/qemu/ipidefer-no-such-domain.pid, and "))
        << result.output;
    EXPECT_TRUE(result.output.ends_with(
        "; --pid takes any process that runs a VM under KVM\n"))
        << result.output;
    EXPECT_EQ(refused({"--domain", "a/b"}),
              "--domain: 'a/b' is no domain's name: these have no / in them\n");
}

TEST_F(BlameTest, TimesThatMeanNothingAreRefused)
{
    EXPECT_EQ(refused({"--pid", "1", "--duration", "0"}),
              "--duration: nothing comes in no time\n");
    EXPECT_EQ(refused({"--pid", "1", "--interval", "1s"}),
              "--interval: 1s needs --live\n");
    EXPECT_EQ(refused({"--pid", "1", "--live", "--interval", "1ms"}),
              "--interval: 1ms is not within 100ms and 1h\n");
    EXPECT_TRUE(refused({"--pid", "1", "--live", "--interval", "x"})
                    .starts_with("--interval: "));
    EXPECT_EQ(refused({"--pid", "1", "--live", "--json"}),
              "--json: --live shows tables; it is one or the other\n");
}

/// What a cause says that ipidefer check looks at is what check reports.
TEST_F(BlameTest, ChecksOfRemediesAreThoseThatThereAre)
{
    const auto config = folder_.path() / "config";
    std::ofstream{config} << "CONFIG_X86_64=y\n";
    const auto domain = folder_.path() / "domain.xml";
    std::ofstream{domain} << "<domain type='kvm'><name>web</name><vcpu>2</vcpu>"
                             "<os><type arch='x86_64'>hvm</type></os></domain>";
    // Those of a guest that runs, and of iothreads, this domain has not.
    std::set<std::string> names{"domain.guest", "domain.policy"};
    for (const Arguments& arguments :
         {Arguments{"check", "--json"},
          Arguments{"check", "--json", "--guest-config", config},
          Arguments{"check", "--json", "--domain-xml", domain}})
        for (const json& finding : json::parse(run(arguments).output))
            names.insert(finding.at("name"));
    std::size_t checks = 0;
    for (int kind = 0; kind <= static_cast<int>(Cause::Kind::kUnknown); ++kind)
        for (const auto check :
             blame::remedy(static_cast<Cause::Kind>(kind)).checks) {
            EXPECT_TRUE(names.contains(std::string{check})) << check;
            ++checks;
        }
    EXPECT_GT(checks, 5u);
}

TEST_F(BlameTest, CheckSaysWhichCausesAFindingLetsHappen)
{
    const auto config = folder_.path() / "config";
    std::ofstream{config} << "CONFIG_X86_64=y\n";
    const Arguments check{"check", "--guest-config", config};
    const auto text = run(check).output;
    EXPECT_NE(text.find("\n  guest-timer  "), std::string::npos) << text;
    EXPECT_NE(text.find(" (guest.nohz_full, guest.rcu_nocb)\n"),
              std::string::npos)
        << text;
    Arguments as_json = check;
    as_json.emplace_back("--json");
    for (const json& finding : json::parse(run(as_json).output)) {
        EXPECT_FALSE(finding["grade"] == "pass" && finding.contains("causes"));
        if (finding["name"] != "guest.nohz_full") continue;
        EXPECT_EQ(finding.at("causes").at(0).at("kind"), "guest-timer");
    }
}

}  // namespace
}  // namespace ipidefer::cli
