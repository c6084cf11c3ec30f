// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/vcpu_threads.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/failure.hpp"
#include "base/scratch.hpp"

namespace ipidefer::blame {
namespace {

namespace fs = std::filesystem;

class VcpuThreads : public testing::Test {
  protected:
    void file(const fs::path& path, const std::string& text)
    {
        fs::create_directories((folder_ / path).parent_path());
        std::ofstream{folder_ / path} << text;
    }
    std::vector<Thread> found()
    {
        return vcpu_threads(10, folder_ / "kvm", folder_ / "proc");
    }

    Scratch scratch_;
    fs::path folder_ = scratch_.path();
};

TEST_F(VcpuThreads, AreThoseThatKvmSays)
{
    file("proc/10/task/10/comm", "qemu\n");
    file("kvm/10-14/vcpu0/pid", "21\n");
    file("kvm/10-14/vcpu12/pid", "23\n");
    file("kvm/10-14/exits", "5\n");
    file("kvm/100-14/vcpu1/pid", "99\n");
    const auto threads = found();
    ASSERT_EQ(threads.size(), 2U);
    EXPECT_EQ(threads.at(0).pid, 21);
    EXPECT_EQ(threads.at(1).vcpu, 12U);
    EXPECT_EQ(threads.at(1).pid, 23);
    EXPECT_EQ(threads.at(1).apic_id, 12U);
}

TEST_F(VcpuThreads, OrThoseThatQemuNames)
{
    file("proc/10/task/10/comm", "qemu\n");
    file("proc/10/task/21/comm", "CPU 3/KVM\n");
    file("proc/10/task/22/comm", "CPU /KVM\n");
    const auto threads = found();
    ASSERT_EQ(threads.size(), 1U);
    EXPECT_EQ(threads.at(0).vcpu, 3U);
    EXPECT_EQ(threads.at(0).pid, 21);
}

TEST_F(VcpuThreads, NoProcessAndNoVcpuAreFailures)
{
    EXPECT_THROW(static_cast<void>(found()), Failure);
    file("proc/10/task/10/comm", "bash\n");
    EXPECT_THROW(static_cast<void>(found()), Failure);
}

}  // namespace
}  // namespace ipidefer::blame
