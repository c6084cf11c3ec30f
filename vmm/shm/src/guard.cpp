// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/guard.hpp"

#include <ipidefer/shm.h>
#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <new>

#include "vmm/shm/src/error.hpp"
#include "vmm/shm/src/scope.hpp"

namespace ipidefer::shm {

/// What the handler knows of one mapping. Slots are never freed, so that the
/// handler may look at any of them at any moment, whatever other threads map
/// and unmap meanwhile.
///
/// A slot is set after mmap() and cleared before munmap(), so those that are
/// set never overlap. The handler runs in a thread that uses a mapping, which
/// nobody may unmap meanwhile: a slot that has the address in it, read whole,
/// is this mapping's.
class GuardSlot final {
  public:
    /// @return whether it was free
    bool take(void* memory, std::size_t bytes) noexcept
    {
        std::uint32_t seen = 0;
        // Ordering: ACQUIRE: after the previous owner's clear(). The fields
        //   below are stored with RELEASE, so that the handler, which loads
        //   them with ACQUIRE, then sees the odd number.
        if (taken_.load(std::memory_order_relaxed) != seen ||
            !taken_.compare_exchange_strong(seen, 1, std::memory_order_acquire,
                                            std::memory_order_relaxed))
            return false;
        truncated_.store(false, std::memory_order_relaxed);
        set(reinterpret_cast<std::uintptr_t>(memory), bytes);
        return true;
    }

    void clear() noexcept
    {
        set(0, 0);
        // Ordering: RELEASE: pairs with take().
        taken_.store(0, std::memory_order_release);
    }

    [[nodiscard]] bool truncated() const noexcept
    {
        // Ordering: RELAXED: a flag of its own.
        return truncated_.load(std::memory_order_relaxed);
    }

    /// From the signal handler: is `at` in here? Then replace the memory.
    bool repair(std::uintptr_t at) noexcept
    {
        // Ordering: ACQUIRE: the loads below, and the second look at the
        //   number, come after; pairs with set().
        const std::uint32_t before = changes_.load(std::memory_order_acquire);
        const std::uintptr_t begin = begin_.load(std::memory_order_acquire);
        const std::size_t bytes = bytes_.load(std::memory_order_acquire);
        if ((before & 1) != 0 ||
            changes_.load(std::memory_order_relaxed) != before || at < begin ||
            at - begin >= bytes)
            return false;
        if (::mmap(
                reinterpret_cast<void*>(begin), bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            return false;
        // Ordering: RELAXED: a flag of its own.
        truncated_.store(true, std::memory_order_relaxed);
        return true;
    }

  private:
    void set(std::uintptr_t begin, std::size_t bytes) noexcept
    {
        // Ordering: RELAXED, then RELEASE: the fields order themselves after
        //   the odd number, and before the even one.
        changes_.fetch_add(1, std::memory_order_relaxed);
        begin_.store(begin, std::memory_order_release);
        bytes_.store(bytes, std::memory_order_release);
        changes_.fetch_add(1, std::memory_order_release);
    }

    std::atomic<std::uint32_t> taken_{0};
    std::atomic<std::uint32_t> changes_{0};  // odd while the two below change
    std::atomic<std::uintptr_t> begin_{0};
    std::atomic<std::size_t> bytes_{0};
    std::atomic<bool> truncated_{false};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free &&
              std::atomic<std::size_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);

namespace {

/// As many as most processes ever need; more are allocated.
constexpr std::size_t kSlots = 64;
struct Slots {
    std::array<GuardSlot, kSlots> slot;
    std::atomic<Slots*> next{nullptr};
};
static_assert(std::atomic<Slots*>::is_always_lock_free);
constinit Slots first_slots;

/// A free slot, set; nullptr when there is no memory for one.
GuardSlot* take_slot(void* memory, std::size_t bytes) noexcept
{
    for (Slots* slots = &first_slots;;) {
        for (GuardSlot& slot : slots->slot)
            if (slot.take(memory, bytes)) return &slot;
        // Ordering: ACQUIRE: its slots; pairs with the release below.
        Slots* next = slots->next.load(std::memory_order_acquire);
        if (next == nullptr) {
            Slots* const more = new (std::nothrow) Slots{};
            if (more == nullptr) return nullptr;
            // Ordering: RELEASE: its slots; pairs with this function and the
            //   handler. ACQUIRE on failure: those of who was faster.
            if (slots->next.compare_exchange_strong(next, more,
                                                    std::memory_order_release,
                                                    std::memory_order_acquire))
                next = more;
            else
                delete more;
        }
        slots = next;
    }
}

struct sigaction previous;
std::atomic<bool> installed{false};

/// Only what signal-safety(7) allows, and mmap, which is one system call.
void on_sigbus(int signal, siginfo_t* info, void* context)
{
    const int saved = errno;
    const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
    for (Slots* slots = &first_slots; slots != nullptr;
         // Ordering: ACQUIRE: its slots; pairs with take_slot().
         slots = slots->next.load(std::memory_order_acquire))
        for (GuardSlot& slot : slots->slot)
            if (slot.repair(at)) {
                errno = saved;
                return;
            }
    switch (handle_in_scope(*info)) {
        case Handled::kKept:
            errno = saved;
            return;
        case Handled::kForeign:
            ::signal(SIGBUS, SIG_DFL);
            return;
        case Handled::kNot:
            break;
    }
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(signal, info, context);
    } else if (previous.sa_handler == SIG_DFL ||
               previous.sa_handler == SIG_IGN) {
        // The access is tried again, and ends the process as it would have.
        ::sigaction(SIGBUS, &previous, nullptr);
        if (asynchronous(*info)) ::raise(SIGBUS);
    } else {
        previous.sa_handler(signal);
    }
}

}  // namespace

bool Mapping::map(int fd, std::size_t bytes, bool writable) noexcept
{
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | (writable ? PROT_WRITE : 0),
               MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return false;
    GuardSlot* const slot = take_slot(memory, bytes);
    if (slot == nullptr) {
        ::munmap(memory, bytes);
        errno = ENOMEM;
        return false;
    }
    memory_ = memory;
    bytes_ = bytes;
    slot_ = slot;
    return true;
}

Mapping::~Mapping()
{
    if (memory_ == nullptr) return;
    slot_->clear();
    ::munmap(memory_, bytes_);
}

bool Mapping::truncated() const noexcept
{
    return slot_ != nullptr && slot_->truncated();
}

}  // namespace ipidefer::shm

int ipidefer_shm_guard(ipidefer_shm_error* error)
{
    using namespace ipidefer::shm;
    // Ordering: RELAXED: only one caller goes on; nothing is published.
    if (installed.exchange(true, std::memory_order_relaxed)) return 0;
    // Read first: the handler needs it as soon as it is installed.
    if (::sigaction(SIGBUS, nullptr, &previous) == 0) {
        struct sigaction action {};
        action.sa_sigaction = on_sigbus;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        if (::sigaction(SIGBUS, &action, nullptr) == 0) return 0;
    }
    fail_errno(error, "install a handler for", "SIGBUS");
    installed.store(false, std::memory_order_relaxed);
    return -1;
}
