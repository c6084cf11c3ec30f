// SPDX-License-Identifier: GPL-2.0-or-later
// Getting a vCPU's thread out of the guest, or out of its sleep, without ever
// losing a wakeup. api.rst section 5, kvm_run.immediate_exit.
//
//   sender                          the vCPU's thread
//   ------                          -----------------
//   post to the inbox               begin_round():  immediate_exit = 0
//   kicked: false -> true                           kicked = false
//   signal the thread               look at the inbox
//                                   KVM_RUN, or wait()
//
// The signal's handler runs on the vCPU's thread and sets immediate_exit, so
// KVM_RUN returns at once wherever before it the signal came; a signal during
// KVM_RUN ends it anyway. A sender that finds `kicked` set need not signal:
// whoever set it has, or will, and the thread has not looked at its inbox
// since. immediate_exit is cleared before `kicked`: the other way round, a kick
// in between would be forgotten, and with `kicked` set no later one would
// signal.
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "vmm/kvm/src/router.hpp"

namespace ipidefer::vmm {

/// CLOCK_MONOTONIC, in ns.
[[nodiscard]] std::uint64_t now_ns() noexcept;

class Kick final : public Kickable {
  public:
    Kick() = default;
    ~Kick() = default;
    Kick(const Kick&) = delete;
    Kick& operator=(const Kick&) = delete;

    /// Once per process, before any thread.
    static void install_handler();

    // On the vCPU's thread: first, and last thing it does.
    void attach(kvm_run& run);
    void detach() noexcept;

    /// Any thread, also before attach() and after detach(), but not once the
    /// vCPU's thread has been joined.
    void kick() override;

    // On the vCPU's thread.
    void begin_round() noexcept;
    /// Sleeps until a kick since begin_round(), or until `deadline` (now_ns()).
    void wait(std::optional<std::uint64_t> deadline);
    /// Arranges for the guest to be left at `deadline`; nullopt: not at all.
    void leave_guest_at(std::optional<std::uint64_t> deadline);
    [[nodiscard]] std::uint64_t kicks() const noexcept
    {
        return kicks_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<bool> kicked_{false};
    std::atomic<std::uint64_t> kicks_{0};
    std::mutex mutex_;
    std::condition_variable wake_;
    bool waiting_ = false;   // by mutex_
    bool attached_ = false;  // by mutex_
    pthread_t thread_{};     // by mutex_
    kvm_run* run_ = nullptr;
    timer_t timer_{};
    std::optional<std::uint64_t> armed_;
};

}  // namespace ipidefer::vmm
