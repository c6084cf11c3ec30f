// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard.hpp"

#include <ipidefer/shm.h>
#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "error.hpp"
#include "scope.hpp"

namespace ipidefer::shm {
namespace {

/// What the handler looks through; a slot is taken and left by
/// compare-and-swap, since the handler may run at any moment on any thread.
constexpr std::size_t kMappings = 1024;
std::array<std::atomic<Mapping*>, kMappings> mappings;
static_assert(std::atomic<Mapping*>::is_always_lock_free);

struct sigaction previous;
std::atomic<bool> installed{false};

/// Only what signal-safety(7) allows, and mmap, which is one system call.
void on_sigbus(int signal, siginfo_t* info, void* context)
{
    const int saved = errno;
    for (auto& slot : mappings) {
        // Ordering: ACQUIRE: the mapping's fields; pairs with Mapping::map.
        Mapping* mapping = slot.load(std::memory_order_acquire);
        if (mapping != nullptr && mapping->repair(info->si_addr)) {
            errno = saved;
            return;
        }
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
    memory_ = memory;
    bytes_ = bytes;
    for (auto& slot : mappings) {
        Mapping* none = nullptr;
        // Ordering: RELEASE: our fields; pairs with the handler.
        if (slot.compare_exchange_strong(none, this, std::memory_order_release,
                                         std::memory_order_relaxed))
            break;
    }
    return true;
}

Mapping::~Mapping()
{
    if (memory_ == nullptr) return;
    for (auto& slot : mappings) {
        Mapping* own = this;
        // Ordering: RELAXED: nobody accesses the memory any more, so no
        //   handler looks for us.
        if (slot.compare_exchange_strong(own, nullptr,
                                         std::memory_order_relaxed))
            break;
    }
    ::munmap(memory_, bytes_);
}

bool Mapping::repair(const void* address) noexcept
{
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    const auto begin = reinterpret_cast<std::uintptr_t>(memory_);
    if (at < begin || at - begin >= bytes_) return false;
    if (::mmap(memory_, bytes_, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return false;
    // Ordering: RELAXED: a flag of its own.
    truncated_.store(true, std::memory_order_relaxed);
    return true;
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
