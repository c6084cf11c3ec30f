// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer list, and how VMs are named.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "host/cli/cli_testing.hpp"

namespace ipidefer::cli {
namespace {

using namespace test;

TEST_F(CliTest, ListShowsVmsWithTheirState)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("old");
    const json list = run_json({"list", "--json"});
    ASSERT_EQ(list["vms"].size(), 2u);
    EXPECT_EQ(list["vms"][0]["name"], "old");
    EXPECT_EQ(list["vms"][0]["state"], "stale");
    EXPECT_EQ(list["vms"][1]["name"], "web");
    EXPECT_EQ(list["vms"][1]["state"], "running");
    EXPECT_EQ(list["vms"][1]["policy"]["isolated"], "2-3");
    const auto text = run({"list"});
    EXPECT_NE(text.output.find("web                     running"),
              std::string::npos)
        << text.output;
}

TEST_F(CliTest, ListCleansUpAfterTheDeadOnly)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("old");
    EXPECT_EQ(run({"list", "--clean"}).status, kDone);
    const json list = run_json({"list", "--json"});
    ASSERT_EQ(list["vms"].size(), 1u);
    EXPECT_EQ(list["vms"][0]["name"], "web");
}

TEST_F(CliTest, ListNamesABrokenSegmentAndShowsTheOthers)
{
    const TestVm vm{folder_.path(), "web"};
    std::ofstream{folder_.path() / "ipidefer.bad~00000001"}
        << std::string(8192, 'x');
    const auto result = run({"list"});
    EXPECT_EQ(result.status, kDefect);
    EXPECT_NE(result.output.find("VM 'bad': not a segment: it does not begin"),
              std::string::npos)
        << result.output;
    EXPECT_NE(result.output.find("web"), std::string::npos);
}

TEST_F(CliTest, TwoVmsOfOneNameAreToldApartByTheirIds)
{
    const TestVm one{folder_.path(), "web", {.isolated = {1}}};
    const TestVm two{folder_.path(), "web", {.isolated = {2}}};
    const json vms = run_json({"list", "--json"})["vms"];
    ASSERT_EQ(vms.size(), 2u);
    EXPECT_EQ(vms[0]["name"], "web");
    EXPECT_EQ(vms[0]["id"], one.id());
    EXPECT_EQ(vms[1]["name"], two.id());
    const auto which = run({"policy", "web", "--off"});
    EXPECT_EQ(which.status, kCannotRun);
    EXPECT_NE(which.output.find("there are 2 VMs 'web', give the ID of one: " +
                                one.id() + " (user "),
              std::string::npos)
        << which.output;
    EXPECT_EQ(run({"policy", two.id(), "--off"}).status, kDone);
    EXPECT_TRUE(ipidefer_enabled(one.vm()));
    EXPECT_FALSE(ipidefer_enabled(two.vm()));
}

TEST_F(CliTest, OneThatRunsIsMeantAndNotWhatADeadOneLeft)
{
    const TestVm vm{folder_.path(), "web"};
    die_with_segment("web");  // which does not remove what a running one has
    ASSERT_EQ(run_json({"list", "--json"})["vms"].size(), 2u);
    EXPECT_EQ(run_json({"stat", "web", "--json"})[0]["id"], vm.id());
    EXPECT_EQ(run({"list", "--clean"}).status, kDone);
    EXPECT_EQ(run_json({"list", "--json"})["vms"].size(), 1u);
}

TEST_F(CliTest, NameThatIsNotUtf8CanBeWrittenAndIsShownAsItIsWritten)
{
    const TestVm vm{folder_.path(),
                    "b\xff"
                    "d"};
    EXPECT_EQ(run_json({"list", "--json"})["vms"][0]["name"], "b%FFd");
    EXPECT_EQ(run({"policy", "b%FFd", "--off"}).status, kDone);
    EXPECT_FALSE(ipidefer_enabled(vm.vm()));
    EXPECT_EQ(run({"policy",
                   "b\xff"
                   "d",
                   "--on"})
                  .status,
              kDone);
    EXPECT_TRUE(ipidefer_enabled(vm.vm()));
    EXPECT_NE(run({"stat"}).output.find("VM b%FFd: running"),
              std::string::npos);
    EXPECT_NE(run({"top", "-1", "-d", "100ms"}).output.find("b%FFd"),
              std::string::npos);
}

TEST_F(CliTest, AnotherUsersFileIsNoVmAndIsCounted)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make another user's file";
    std::filesystem::permissions(folder_.path(), std::filesystem::perms{01777});
    const TestVm vm{folder_.path(), "web"};
    const auto file = folder_.path() / "ipidefer.web~00000001";
    std::filesystem::copy_file(folder_.path() / vm.file(), file);
    ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
    const json list = run_json({"list", "--json"});
    EXPECT_EQ(list["vms"].size(), 1u);
    EXPECT_EQ(list["left_out"]["foreign"], 1);
    EXPECT_NE(run({"list"}).output.find("not shown: 1 of users"),
              std::string::npos);
    EXPECT_EQ(run({"stat", "web"}).status, kDone);
    EXPECT_EQ(run_json({"--owner", "65534", "list", "--json"})["vms"].size(),
              1u);
    EXPECT_EQ(run({"--owner", "no.such.user", "list"}).status, kCannotRun);
}

TEST_F(CliTest, NameWithControlCharactersIsShownHarmlessly)
{
    const TestVm vm{folder_.path(), "a\x1b[2J"};
    EXPECT_NE(run({"list"}).output.find("a%1B[2J"), std::string::npos);
    EXPECT_EQ(run_json({"list", "--json"})["vms"][0]["name"], "a%1B[2J");
}

}  // namespace
}  // namespace ipidefer::cli
