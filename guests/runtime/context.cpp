// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests/runtime/context.hpp"

#include "guests/runtime/apic.hpp"
#include "guests/runtime/output.hpp"

namespace guest {
namespace {

std::atomic<u64> g_version{0};

}  // namespace

void Context::fill_table()
{
    for (unsigned i = 0; i < kBindings; ++i) {
        ipi_defer_binding& binding = table[i];
        binding = {};
        binding.word_gpa = reinterpret_cast<u64>(&word);
        binding.accept_mask = kCtxMask;
        binding.accept_value = kCtxUser;
        binding.work_bit = i == 0 ? kWorkSync : kWorkFlush;
        binding.state_mask = kCtxMask;
        binding.state_user = kCtxUser;
        binding.state_guest = kCtxGuest;
        binding.state_idle = kCtxIdle;
        binding.vector = i == 0 ? kVectorSync : kVectorFlush;
    }
}

u64 Context::registration(unsigned bindings) const
{
    return reinterpret_cast<u64>(table) |
           u64{bindings} << IPI_DEFER_REG_COUNT_SHIFT | IPI_DEFER_REG_ENABLE;
}

bool Context::stop_accepting()
{
    bool was_user;
    asm volatile("lock btrl $1, %0"
                 : "+m"(word), "=@ccc"(was_user)
                 :
                 : "memory");
    return was_user;
}

// I9: the owner clears the bits, while the word does not accept, so nobody sets
// any.
void Context::accept()
{
    u32 user = kCtxUser;
    asm volatile("xchgl %0, %1" : "+r"(user), "+m"(word) : : "memory");
}

// I9: what is published as done was requested before the work began.
void Context::work()
{
    const u64 before = requested.load();
    seen.store(g_version.load());
    flushes.fetch_add(1, std::memory_order_relaxed);
    done.store(before);
}

void Context::check_seen() const
{
    // must_see first: seen only grows, and grows before it.
    const u64 must = must_see.load();
    if (seen.load() < must)
        fail("kernel code ran on an isolated CPU before the work it relies on");
}

void Context::synchronise(u32 id, u8 vector)
{
    const u32 bit = vector == kVectorSync ? kWorkSync : kWorkFlush;
    const u64 version = g_version.fetch_add(1) + 1;
    const u64 mine = requested.fetch_add(1) + 1;
    send_ipi(this_cpu(), id, vector);
    await("lost work: neither recorded nor done", [&] {
        if (done.load() >= mine) return true;
        const u32 now = word.load();
        return (now & kCtxMask) == kCtxUser && (now & bit) != 0;
    });
    u64 must = must_see.load();
    while (must < version && !must_see.compare_exchange_weak(must, version)) {
    }
}

bool contract_found()
{
    u32 found[4], offered[4];
    cpuid(IPI_DEFER_CPUID_DEFAULT, 0, found);
    cpuid(IPI_DEFER_CPUID_DEFAULT + 1, 0, offered);
    return found[1] == IPI_DEFER_SIGNATURE_EBX &&
           found[2] == IPI_DEFER_SIGNATURE_ECX &&
           found[3] == IPI_DEFER_SIGNATURE_EDX &&
           offered[0] == IPI_DEFER_VERSION &&
           (offered[1] & IPI_DEFER_F_ICR) != 0;
}

}  // namespace guest
