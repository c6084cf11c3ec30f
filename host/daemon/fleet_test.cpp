// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/fleet.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/failure.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::daemon {
namespace {

using segment::test::TestVm;

class FleetTest : public ::testing::Test {
  protected:
    std::vector<std::string> names()
    {
        std::vector<std::string> all;
        fleet_.each_status([&all](const auto& vm) { all.push_back(vm.name); });
        return all;
    }
    std::vector<nlohmann::json> audited()
    {
        std::vector<nlohmann::json> entries;
        std::ifstream in{log_};
        for (std::string line; std::getline(in, line);)
            entries.push_back(nlohmann::json::parse(line));
        return entries;
    }
    using Names = std::vector<std::string>;

    shm::test::TemporaryFolder folder_;
    shm::test::TemporaryFolder logs_;
    std::filesystem::path log_ = logs_.path() / "audit";
    Audit audit_{log_};
    Fleet fleet_{folder_.path(), {}, audit_};
    Config config_;
};

TEST_F(FleetTest, FollowsVmsThatComeAndGo)
{
    fleet_.refresh(config_);
    EXPECT_EQ(names(), Names{});
    std::optional<TestVm> a{std::in_place, folder_.path(), "a"};
    const TestVm b{folder_.path(), "b"};
    fleet_.refresh(config_);
    EXPECT_EQ(names(), (Names{"a", "b"}));
    a.reset();
    fleet_.refresh(config_);
    EXPECT_EQ(names(), Names{"b"});
    a.emplace(folder_.path(), "a");
    fleet_.refresh(config_);
    EXPECT_EQ(names(), (Names{"b", "a"}));  // the oldest first
}

TEST_F(FleetTest, VmThatCameBackUnderItsNameBetweenTwoLooksIsTheNewOne)
{
    std::optional<TestVm> vm{std::in_place, folder_.path(), "a"};
    fleet_.refresh(config_);
    vm.reset();
    vm.emplace(folder_.path(), "a",
               TestVm::Options{.vcpus = 7, .isolated = {1}});
    fleet_.refresh(config_);
    std::vector<std::size_t> vcpus;
    fleet_.each_status(
        [&vcpus](const auto& one) { vcpus.push_back(one.vcpus.size()); });
    EXPECT_EQ(vcpus, std::vector<std::size_t>{7});
}

TEST_F(FleetTest, NewVmGetsItsConfiguredPolicyAndTheAuditSaysSo)
{
    config_.domains["a"].isolated = "1";
    const TestVm vm{folder_.path(), "a"};
    fleet_.refresh(config_);
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 1));
    EXPECT_FALSE(ipidefer_isolated(vm.vm(), 2));
    const auto log = audited();
    ASSERT_EQ(log.size(), 1u);
    EXPECT_EQ(log[0]["vm"], "a");
    EXPECT_EQ(log[0]["by"], "configuration");
    EXPECT_EQ(log[0]["changes"], (nlohmann::json{"isolated 2-3 -> 1"}));
    fleet_.refresh(config_);  // once
    EXPECT_EQ(audited().size(), 1u);
}

TEST_F(FleetTest, PolicyThatDoesNotFitLeavesTheVmAlone)
{
    config_.domains["a"].isolated = "1-9";
    const TestVm vm{folder_.path(), "a"};
    fleet_.refresh(config_);
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 2));
    EXPECT_EQ(names(), Names{"a"});
}

TEST_F(FleetTest, ChangesByOthersAreAudited)
{
    const TestVm vm{folder_.path(), "a"};
    fleet_.refresh(config_);
    ipidefer_set_enabled(vm.vm(), false);
    fleet_.refresh(config_);
    const auto log = audited();
    ASSERT_EQ(log.size(), 1u);
    EXPECT_EQ(log[0]["by"], "somebody else");
    EXPECT_EQ(log[0]["changes"], (nlohmann::json{"enabled on -> off"}));
}

TEST_F(FleetTest, ChangeOnRequestNamesWhoAsked)
{
    const TestVm vm{folder_.path(), "a"};
    fleet_.refresh(config_);
    terms::RawPolicy policy;
    policy.off = true;
    EXPECT_EQ(fleet_.change("a", policy, "control uid=5 pid=6"),
              (std::vector<std::string>{"enabled on -> off"}));
    EXPECT_FALSE(ipidefer_enabled(vm.vm()));
    EXPECT_EQ(audited().at(0)["by"], "control uid=5 pid=6");
    EXPECT_THROW((void)fleet_.change("b", policy, "x"), Failure);
}

TEST_F(FleetTest, BrokenSegmentsAreNamedAndHarmNobody)
{
    const TestVm good{folder_.path(), "good"};
    std::ofstream{folder_.path() / "ipidefer.bad~00000001"}
        << std::string(8192, 'x');
    fleet_.refresh(config_);
    EXPECT_EQ(names(), Names{"good"});
    EXPECT_TRUE(fleet_.broken().contains("bad~00000001"));
    std::filesystem::remove(folder_.path() / "ipidefer.bad~00000001");
    fleet_.refresh(config_);
    EXPECT_TRUE(fleet_.broken().empty());
}

TEST_F(FleetTest, SegmentThatIsTruncatedMeanwhileIsBrokenNotFatal)
{
    const TestVm vm{folder_.path(), "a"};
    fleet_.refresh(config_);
    std::filesystem::resize_file(folder_.path() / vm.file(), 0);
    (void)names();
    fleet_.refresh(config_);
    EXPECT_EQ(names(), Names{});
    EXPECT_TRUE(fleet_.broken().contains(vm.id()));
}

// Once broken is not for ever.
TEST_F(FleetTest, SegmentThatCanBeReadAgainIsNotBroken)
{
    const TestVm vm{folder_.path(), "a"};
    fleet_.refresh(config_);
    segment::OpenVm open{folder_.path(), "a", true};
    // As if a writer stood still in the middle of it.
    auto& seq = const_cast<std::uint32_t&>(
        reinterpret_cast<const ipidefer_segment*>(
            reinterpret_cast<const char*>(&open.segment().policy()) - 4096)
            ->clock_seq);
    ++seq;
    EXPECT_EQ(names(), Names{});
    EXPECT_EQ(fleet_.broken().at(vm.id()),
              "its clock is being written all the time");
    ++seq;
    fleet_.refresh(config_);
    EXPECT_EQ(names(), Names{"a"});
    EXPECT_TRUE(fleet_.broken().empty());
}

TEST_F(FleetTest, VmsOfOneNameAreToldApartAndTheOldestHasTheName)
{
    std::optional<TestVm> old{std::in_place, folder_.path(), "a"};
    const TestVm next{folder_.path(), "a"};
    fleet_.refresh(config_);
    EXPECT_EQ(names(), (Names{"a", next.id()}));
    terms::RawPolicy off;
    off.off = true;
    (void)fleet_.change(next.id(), off, "x");
    EXPECT_TRUE(ipidefer_enabled(old->vm()));
    EXPECT_FALSE(ipidefer_enabled(next.vm()));
    old.reset();
    fleet_.refresh(config_);
    EXPECT_EQ(names(), Names{"a"});
}

TEST_F(FleetTest, NoMoreVmsThanTheLimitTheOldestStayAndTheRestIsCounted)
{
    Fleet two{folder_.path(), {.vms = 2}, audit_};
    const TestVm z{folder_.path(), "z"};
    const TestVm y{folder_.path(), "y"};
    const TestVm a{folder_.path(), "a"};
    two.refresh(config_);
    Names watched;
    two.each_status([&](const auto& vm) { watched.push_back(vm.name); });
    EXPECT_EQ(watched, (Names{"z", "y"}));
    EXPECT_EQ(two.left_out(), 1u);
}

TEST_F(FleetTest, SegmentThatMayOnlyBeReadIsWatchedAndNotSteered)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    const TestVm vm{folder_.path(), "a"};
    std::filesystem::permissions(folder_.path(), std::filesystem::perms{0755});
    std::filesystem::permissions(folder_.path() / vm.file(),
                                 std::filesystem::perms{0644});
    ASSERT_EQ(::seteuid(65534), 0);
    config_.domains["a"].isolated = "1";
    fleet_.refresh(config_);
    const Names seen = names();
    terms::RawPolicy off;
    off.off = true;
    EXPECT_THROW((void)fleet_.change("a", off, "x"), Failure);
    ASSERT_EQ(::seteuid(0), 0);
    EXPECT_EQ(seen, Names{"a"});
    EXPECT_TRUE(ipidefer_enabled(vm.vm()));
    EXPECT_FALSE(ipidefer_isolated(vm.vm(), 1));
}

TEST_F(FleetTest, FolderThatIsMissingIsNotFatal)
{
    Fleet nowhere{std::filesystem::path{"/nonexistent"}, {}, audit_};
    nowhere.refresh(config_);
    nowhere.each_status([](const auto&) { FAIL(); });
}

TEST_F(FleetTest, DomainGetsItsPolicyByUuidOrNameOnceItIsKnown)
{
    const TestVm vm{folder_.path(), "segment"};
    const TestVm other{folder_.path(), "other"};
    config_ = parse_config(
        R"({"domains": {"web1": {"isolated": "1"}, "u-2": {"idle": "on"}}})");
    fleet_.refresh(config_);
    EXPECT_FALSE(ipidefer_isolated(vm.vm(), 1));
    fleet_.identify({{"segment", {"web1", "u-1"}}, {"other", {"web2", "u-2"}}},
                    config_);
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 1));
    const auto audit = audited();
    ASSERT_FALSE(audit.empty());
    EXPECT_EQ(audit.back()["by"], "configuration");

    // Told again, nothing happens to what somebody has changed meanwhile.
    ipidefer_set_isolated(vm.vm(), 1, false);
    fleet_.identify({{"segment", {"web1", "u-1"}}, {"other", {"web2", "u-2"}}},
                    config_);
    EXPECT_FALSE(ipidefer_isolated(vm.vm(), 1));
    fleet_.apply_all(config_);
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 1));
}

TEST_F(FleetTest, VmOfADomainThatIsKnownGetsItsPolicyAsItAppears)
{
    config_ = parse_config(R"({"domains": {"web1": {"isolated": "1"}}})");
    fleet_.identify({{"segment", {"web1", "u-1"}}}, config_);
    const TestVm vm{folder_.path(), "segment"};
    fleet_.refresh(config_);
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 1));
}

TEST_F(FleetTest, LaterChangesOfOthersAreKept)
{
    config_ = parse_config(R"({"domains": {"a": {"isolated": "1"}}})");
    const TestVm vm{folder_.path(), "a"};
    fleet_.refresh(config_);
    ipidefer_set_isolated(vm.vm(), 1, false);
    fleet_.refresh(config_);
    EXPECT_FALSE(ipidefer_isolated(vm.vm(), 1));
}

TEST_F(FleetTest, PolicyOfTheSegmentsNameIsNotOverridden)
{
    const TestVm vm{folder_.path(), "segment"};
    config_ = parse_config(
        R"({"domains": {"segment": {"isolated": "0"}, "web1": {"isolated": "1"}}})");
    fleet_.refresh(config_);
    fleet_.identify({{"segment", {"web1", "u-1"}}}, config_);
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 0));
    EXPECT_FALSE(ipidefer_isolated(vm.vm(), 1));
}

}  // namespace
}  // namespace ipidefer::daemon
