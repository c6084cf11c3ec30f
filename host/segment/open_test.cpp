// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/open.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "base/failure.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::segment {
namespace {

using shm::test::TemporaryFolder;
using test::TestVm;

TEST(Open, VmsAreFoundByNameSorted)
{
    const TemporaryFolder folder;
    const TestVm b{folder.path(), "b"};
    const TestVm a{folder.path(), "a a"};
    const auto found = survey(folder.path()).found;
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].name, "a a");
    EXPECT_EQ(found[0].label, "a a");
    EXPECT_EQ(found[0].id, a.id());
    EXPECT_EQ(found[1].name, "b");
    EXPECT_THROW((void)survey(std::filesystem::path{"/nonexistent"}), Failure);
}

TEST(Open, LifeFollowsTheVm)
{
    const TemporaryFolder folder;
    std::optional<TestVm> vm{std::in_place, folder.path(), "vm"};
    const OpenVm open{folder.path(), "vm"};
    EXPECT_EQ(open.life(), Life::kRuns);
    vm.reset();
    EXPECT_EQ(open.life(), Life::kEnded);
    EXPECT_THROW((OpenVm{folder.path(), "vm"}), Failure);
}

TEST(Open, SegmentOfADeadVmIsStale)
{
    const TemporaryFolder folder;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const TestVm vm{folder.path(), "vm"};
        ::_exit(0);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(OpenVm(folder.path(), "vm").life(), Life::kGone);
}

TEST(Open, GarbageIsAClearFailure)
{
    const TemporaryFolder folder;
    std::ofstream{folder.path() / "ipidefer.x~00000001"}
        << std::string(8192, 'x');
    try {
        const OpenVm open{folder.path(), "x"};
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_STREQ(failure.what(),
                     "VM 'x': not a segment: it does not begin with IPIDSEG1");
    }
}

TEST(Open, TruncationIsNoticed)
{
    const TemporaryFolder folder;
    const TestVm vm{folder.path(), "vm"};
    const OpenVm open{folder.path(), "vm"};
    EXPECT_NO_THROW(open.check());
    std::filesystem::resize_file(folder.path() / vm.file(), 0);
    EXPECT_EQ(open.segment().state(), 0u);
    EXPECT_THROW(open.check(), Failure);
}

}  // namespace
}  // namespace ipidefer::segment
