// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/vmm_process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "base/failure_testing.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::segment {
namespace {

namespace fs = std::filesystem;
using test::TestVm;

constexpr const char* kOwnLock =
    "pos:\t0\nflags:\t02100002\nmnt_id:\t30\nino:\t529\n"
    "lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:529 0 EOF\n";

class VmmProcess : public testing::Test {
  protected:
    /// A process that has a file open.
    void opened(int pid, const fs::path& file, const std::string& info)
    {
        const fs::path process = proc_ / std::to_string(pid);
        fs::create_directories(process / "fd");
        fs::create_directories(process / "fdinfo");
        fs::create_symlink(file, process / "fd/5");
        std::ofstream{process / "fdinfo/5"} << info;
    }
    int found() { return vmm_process(folder_.path() / "shm", "web", proc_); }

    void SetUp() override
    {
        fs::create_directory(folder_.path() / "shm");
        fs::permissions(folder_.path() / "shm", fs::perms::owner_all);
        fs::create_directory(proc_);
    }

    shm::test::TemporaryFolder folder_;
    fs::path proc_ = folder_.path() / "proc";
};

TEST_F(VmmProcess, IsTheOneThatHoldsTheLock)
{
    const TestVm vm{folder_.path() / "shm", "web"};
    const fs::path file = folder_.path() / "shm" / vm.file();
    // A reader, one that asks about its own file, and one with another lock.
    opened(10, file, "pos:\t0\nflags:\t02100000\n");
    opened(11, folder_.path() / "shm", kOwnLock);
    opened(12, file, "lock:\t1: OFDLCK ADVISORY  READ -1 00:1b:529 0 EOF\n");
    opened(4711, file, kOwnLock);
    fs::create_directories(proc_ / "self");
    EXPECT_EQ(found(), 4711);
}

TEST_F(VmmProcess, SeveralAreNamed)
{
    const TestVm vm{folder_.path() / "shm", "web"};
    const fs::path file = folder_.path() / "shm" / vm.file();
    opened(4712, file, kOwnLock);
    opened(4711, file, kOwnLock);
    EXPECT_EQ(refusal_of([&] { return found(); }),
              "several processes hold the segment of VM 'web', give one by its "
              "PID: 4711 4712");
}

TEST_F(VmmProcess, NoneIsSaid)
{
    const TestVm vm{folder_.path() / "shm", "web"};
    opened(10, folder_.path() / "shm" / vm.file(), "pos:\t0\n");
    EXPECT_TRUE(refusal_of([&] {
                    return found();
                }).starts_with("no process holds the segment of VM 'web'"));
}

TEST_F(VmmProcess, NoVmIsSaid)
{
    EXPECT_EQ(refusal_of([&] { return found(); }), "there is no VM 'web'");
}

TEST_F(VmmProcess, OfThisMachineItIsTheChildThatRunsTheVm)
{
    std::array<int, 2> ready{};
    ASSERT_EQ(::pipe(ready.data()), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const TestVm vm{folder_.path() / "shm", "web"};
        if (::write(ready[1], "", 1) == 1) ::pause();
        ::_exit(1);
    }
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    const OpenVm reader{folder_.path() / "shm", "web"};
    EXPECT_EQ(vmm_process(folder_.path() / "shm", "web"), child);
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(
        refusal_of([&] { return vmm_process(folder_.path() / "shm", "web"); }),
        "VM 'web' does not run: its segment is that of a VM that ended");
    ::close(ready[0]);
    ::close(ready[1]);
}

}  // namespace
}  // namespace ipidefer::segment
