// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/kick.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "base/duration.hpp"
#include "base/failure.hpp"

// glibc before 2.38 has no name for this member.
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace ipidefer::vmm {
namespace {

/// The kvm_run of the vCPU whose thread this is.
constinit thread_local kvm_run* t_run = nullptr;

int kick_signal() noexcept { return SIGRTMIN; }

extern "C" void on_kick(int)
{
    // Only a store: everything else is for begin_round() and the loop.
    if (t_run != nullptr)
        static_cast<volatile std::uint8_t&>(t_run->immediate_exit) = 1;
}

}  // namespace

std::uint64_t now_ns() noexcept
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond +
           static_cast<std::uint64_t>(now.tv_nsec);
}

void Kick::install_handler()
{
    struct sigaction action {};
    action.sa_handler = on_kick;  // without SA_RESTART: KVM_RUN must return
    if (::sigaction(kick_signal(), &action, nullptr) != 0)
        throw system_failure("sigaction");
}

void Kick::attach(kvm_run& run)
{
    run_ = &run;
    t_run = &run;
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = kick_signal();
    event.sigev_notify_thread_id = ::gettid();
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0)
        throw system_failure("timer_create");
    const std::lock_guard hold{mutex_};
    thread_ = ::pthread_self();
    attached_ = true;
}

void Kick::detach() noexcept
{
    {
        const std::lock_guard hold{mutex_};
        attached_ = false;
    }
    ::timer_delete(timer_);
    t_run = nullptr;
}

void Kick::kick()
{
    // Ordering: ACQ_REL. RELEASE publishes what was posted; every later kick
    // that finds it set is an RMW of the same release sequence, so its posts
    // are published too. Pairs with begin_round().
    if (kicked_.exchange(true, std::memory_order_acq_rel)) return;
    const std::lock_guard hold{mutex_};
    if (waiting_)
        wake_.notify_one();
    else if (attached_)
        ::pthread_kill(thread_, kick_signal());
}

void Kick::begin_round() noexcept
{
    static_cast<volatile std::uint8_t&>(run_->immediate_exit) = 0;
    // The handler runs on this thread, between any two instructions.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // Ordering: ACQ_REL; ACQUIRE pairs with kick(), so that the look at the
    // inbox that follows sees what was posted. RELEASE keeps the store above
    // before it for a kicker that reads false.
    if (kicked_.exchange(false, std::memory_order_acq_rel))
        kicks_.fetch_add(1, std::memory_order_relaxed);
}

void Kick::wait(std::optional<std::uint64_t> deadline)
{
    std::unique_lock hold{mutex_};
    waiting_ = true;
    const auto is_kicked = [this] {
        // Ordering: RELAXED; begin_round() does the acquiring.
        return kicked_.load(std::memory_order_relaxed);
    };
    if (deadline) {
        const std::chrono::steady_clock::time_point until{
            std::chrono::nanoseconds{*deadline}};
        wake_.wait_until(hold, until, is_kicked);
    } else {
        wake_.wait(hold, is_kicked);
    }
    waiting_ = false;
}

void Kick::leave_guest_at(std::optional<std::uint64_t> deadline)
{
    if (deadline == armed_) return;
    armed_ = deadline;
    itimerspec when{};
    if (deadline) {
        when.it_value.tv_sec = static_cast<time_t>(*deadline / kNsPerSecond);
        when.it_value.tv_nsec = static_cast<long>(*deadline % kNsPerSecond);
    }
    if (::timer_settime(timer_, TIMER_ABSTIME, &when, nullptr) != 0)
        throw system_failure("timer_settime");
}

}  // namespace ipidefer::vmm
