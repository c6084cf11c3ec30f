// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <ipidefer/shm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

// AddressSanitizer would take the signal that one of the tests is to die of. It
// looks for a function of this name.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "handle_sigbus=0"; }

namespace ipidefer::shm {
namespace {

constexpr std::size_t kPage = 4096;

/// A page whose file has no bytes: each access is a SIGBUS.
class GonePage final {
  public:
    GonePage()
    {
        std::FILE* file = std::tmpfile();
        memory_ = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED,
                         ::fileno(file), 0);
        std::fclose(file);
    }
    ~GonePage() { ::munmap(memory_, kPage); }
    [[nodiscard]] volatile int* at(std::size_t offset) const
    {
        return reinterpret_cast<volatile int*>(static_cast<char*>(memory_) +
                                               offset);
    }

  private:
    void* memory_;
};

/// As the kernel tells the thread that takes memory errors for the process.
void tell_of_poison(void* address)
{
    siginfo_t info{};
    info.si_signo = SIGBUS;
    info.si_code = BUS_MCEERR_AO;
    info.si_addr = address;
    info.si_addr_lsb = 12;
    ASSERT_EQ(
        ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::gettid(), SIGBUS, &info),
        0);
}

class ScopeTest : public ::testing::Test {
  protected:
    void SetUp() override
    {
        ASSERT_EQ(ipidefer_shm_guard(nullptr), 0);
        sigemptyset(&sigbus_);
        sigaddset(&sigbus_, SIGBUS);
        ::pthread_sigmask(SIG_BLOCK, &sigbus_, &before_);
    }
    void TearDown() override
    {
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    [[nodiscard]] bool blocked() const
    {
        sigset_t now;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
        return sigismember(&now, SIGBUS) == 1;
    }
    /// What a signalfd would read: false when nothing is pending.
    [[nodiscard]] bool take(siginfo_t& info) const
    {
        const timespec now{};
        return ::sigtimedwait(&sigbus_, &info, &now) == SIGBUS;
    }

    sigset_t sigbus_;
    sigset_t before_;
};

TEST_F(ScopeTest, InaccessiblePageSpringsTheTrap)
{
    const GonePage page;
    ipidefer_shm_scope scope;
    ipidefer_shm_enter(&scope);
    ipidefer_shm_trap trap;
    volatile bool read = false;
    bool sprung = false;
    if (IPIDEFER_SHM_TRAPPED(&trap)) {
        sprung = true;
    } else {
        static_cast<void>(*page.at(8));
        read = true;
        ipidefer_shm_disarm(&trap);
    }
    EXPECT_TRUE(sprung);
    EXPECT_FALSE(read);
    EXPECT_EQ(trap.address, const_cast<int*>(page.at(8)));
    EXPECT_GE(trap.bytes, 1u);
    EXPECT_FALSE(blocked()) << "a second access must spring a second trap";
    ipidefer_shm_leave(&scope);
    EXPECT_TRUE(blocked());
}

TEST_F(ScopeTest, InnerTrapIsSprungAndTheOuterOneIsArmedStill)
{
    const GonePage page;
    ipidefer_shm_scope scope;
    ipidefer_shm_enter(&scope);
    volatile int sprung = 0;
    ipidefer_shm_trap outer;
    if (IPIDEFER_SHM_TRAPPED(&outer)) {
        sprung = sprung * 10 + 2;
    } else {
        ipidefer_shm_trap inner;
        if (IPIDEFER_SHM_TRAPPED(&inner))
            sprung = 1;
        else
            static_cast<void>(*page.at(0));
        static_cast<void>(*page.at(4));
        sprung = 99;
    }
    EXPECT_EQ(sprung, 12);
    ipidefer_shm_leave(&scope);
}

TEST_F(ScopeTest, MemoryErrorInAScopeIsThereAfterItWithItsAddress)
{
    int here = 0;
    ipidefer_shm_scope scope;
    ipidefer_shm_enter(&scope);
    EXPECT_FALSE(blocked());
    tell_of_poison(&here);
    ipidefer_shm_leave(&scope);
    siginfo_t info{};
    ASSERT_TRUE(take(info)) << "it went to a handler within the scope";
    EXPECT_EQ(info.si_code, BUS_MCEERR_AO);
    EXPECT_EQ(info.si_addr, &here);
    EXPECT_FALSE(take(info));
}

TEST_F(ScopeTest, MemoryErrorDoesNotSpringATrap)
{
    int here = 0;
    ipidefer_shm_scope scope;
    ipidefer_shm_enter(&scope);
    ipidefer_shm_trap trap;
    volatile bool sprung = false;
    if (IPIDEFER_SHM_TRAPPED(&trap)) {
        sprung = true;
    } else {
        tell_of_poison(&here);
        ipidefer_shm_disarm(&trap);
    }
    EXPECT_FALSE(sprung);
    ipidefer_shm_leave(&scope);
    siginfo_t info{};
    EXPECT_TRUE(take(info));
}

TEST_F(ScopeTest, InnerScopeEndsNothing)
{
    int here = 0;
    ipidefer_shm_scope outer, inner;
    ipidefer_shm_enter(&outer);
    ipidefer_shm_enter(&inner);
    tell_of_poison(&here);
    ipidefer_shm_leave(&inner);
    EXPECT_FALSE(blocked());
    siginfo_t info{};
    EXPECT_FALSE(take(info));
    ipidefer_shm_leave(&outer);
    ipidefer_shm_leave(&outer);
    EXPECT_TRUE(blocked());
    EXPECT_TRUE(take(info));
}

using ScopeDeathTest = ScopeTest;

TEST_F(ScopeDeathTest, OtherBusErrorInAScopeEndsTheProcessAsIfBlocked)
{
    const GonePage page;
    EXPECT_EXIT(
        {
            ipidefer_shm_scope scope;
            ipidefer_shm_enter(&scope);
            std::_Exit(*page.at(0));
        },
        ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(ScopeDeathTest, ThreadThatUnblocksForGoodHasTheProcessesHandler)
{
    // It is the default action here.
    EXPECT_EXIT(
        {
            int here = 0;
            ipidefer_shm_unblock();
            ipidefer_shm_scope scope;
            ipidefer_shm_enter(&scope);
            tell_of_poison(&here);
            std::_Exit(0);
        },
        ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace ipidefer::shm
