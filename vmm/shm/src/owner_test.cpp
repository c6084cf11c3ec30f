// SPDX-License-Identifier: GPL-2.0-or-later
#include "owner.hpp"

#include <gtest/gtest.h>
#include <ipidefer/shm.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ipidefer::shm {
namespace {

TEST(Owner, ThisProcessRuns)
{
    const Owner me = self();
    EXPECT_NE(me.start, 0u);
    EXPECT_EQ(ipidefer_shm_owner(me.pid, me.start, me.ns), IPIDEFER_SHM_RUNS);
}

TEST(Owner, PidThatIsSomebodyElsesNowIsGone)
{
    const Owner me = self();
    EXPECT_EQ(ipidefer_shm_owner(me.pid, me.start - 1, me.ns),
              IPIDEFER_SHM_GONE);
}

TEST(Owner, EndedProcessIsGoneAlsoBeforeItIsReaped)
{
    const Owner me = self();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(0);
    siginfo_t info{};
    ASSERT_EQ(
        ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
    const auto pid = static_cast<std::uint64_t>(child);
    EXPECT_EQ(ipidefer_shm_owner(pid, me.start, me.ns), IPIDEFER_SHM_GONE);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(ipidefer_shm_owner(pid, 1, me.ns), IPIDEFER_SHM_GONE);
}

TEST(Owner, OfAnotherNamespaceOrNonsenseIsUnknown)
{
    const Owner me = self();
    EXPECT_EQ(ipidefer_shm_owner(me.pid, me.start, me.ns + 1),
              IPIDEFER_SHM_UNKNOWN);
    EXPECT_EQ(ipidefer_shm_owner(me.pid, me.start, 0), IPIDEFER_SHM_UNKNOWN);
    EXPECT_EQ(ipidefer_shm_owner(0, 0, me.ns), IPIDEFER_SHM_UNKNOWN);
    EXPECT_EQ(ipidefer_shm_owner(UINT64_MAX, 0, me.ns), IPIDEFER_SHM_UNKNOWN);
}

}  // namespace
}  // namespace ipidefer::shm
