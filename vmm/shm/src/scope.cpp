// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/scope.hpp"

#include <ipidefer/shm.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace ipidefer::shm {
namespace {

// A signal handler reads these: initial-exec, so that no access allocates.
struct Thread {
    unsigned depth;  // of nested scopes
    bool unblocked;  // for good
    bool kept;       // `signal` is to be raised again
    siginfo_t signal;
    ipidefer_shm_trap* trap;  // the innermost that is armed
};
[[gnu::tls_model("initial-exec")]] thread_local Thread thread;

sigset_t only_sigbus() noexcept
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    return set;
}

}  // namespace

bool asynchronous(const siginfo_t& info) noexcept
{
    return info.si_code <= 0 || info.si_code == BUS_MCEERR_AO;
}

Handled handle_in_scope(const siginfo_t& info) noexcept
{
    if (asynchronous(info)) {
        if (thread.depth == 0) return Handled::kNot;
        // One is enough: a signal that is pending already is not queued twice
        // by the kernel either.
        if (!thread.kept) thread.signal = info;
        thread.kept = true;
        return Handled::kKept;
    }
    if (ipidefer_shm_trap* const trap = thread.trap; trap != nullptr) {
        thread.trap = trap->outer;
        trap->bytes = 1;
        if (info.si_code == BUS_MCEERR_AR && info.si_addr_lsb > 0 &&
            info.si_addr_lsb < 40)
            trap->bytes = std::size_t{1} << info.si_addr_lsb;
        const auto at = reinterpret_cast<std::uintptr_t>(info.si_addr);
        trap->address =
            reinterpret_cast<void*>(at & ~std::uintptr_t{trap->bytes - 1});
        // The handler runs with it blocked, and does not return.
        const sigset_t set = only_sigbus();
        pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
        siglongjmp(trap->jump, 1);
    }
    return thread.depth != 0 ? Handled::kForeign : Handled::kNot;
}

}  // namespace ipidefer::shm

using ipidefer::shm::only_sigbus;
using ipidefer::shm::thread;

void ipidefer_shm_unblock(void)
{
    if (thread.unblocked || thread.depth != 0) return;
    const sigset_t set = only_sigbus();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    thread.unblocked = true;
}

void ipidefer_shm_enter(ipidefer_shm_scope* scope)
{
    *scope = {};
    if (thread.unblocked) return;
    scope->entered = true;
    if (thread.depth++ != 0) return;
    const sigset_t set = only_sigbus();
    pthread_sigmask(SIG_UNBLOCK, &set, &scope->before);
}

void ipidefer_shm_leave(ipidefer_shm_scope* scope)
{
    if (!scope->entered) return;
    scope->entered = false;
    if (--thread.depth != 0) return;
    pthread_sigmask(SIG_SETMASK, &scope->before, nullptr);
    if (!thread.kept) return;
    thread.kept = false;
    // With all that the kernel said of it, for this thread, which blocks it
    // again, or has a handler of its own that runs here and now.
    syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &thread.signal);
}

sigjmp_buf* ipidefer_shm_arm(ipidefer_shm_trap* trap)
{
    trap->address = nullptr;
    trap->bytes = 0;
    trap->outer = thread.trap;
    thread.trap = trap;
    return &trap->jump;
}

void ipidefer_shm_disarm(ipidefer_shm_trap* trap) { thread.trap = trap->outer; }
