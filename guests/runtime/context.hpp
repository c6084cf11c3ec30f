// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest owes by the contract (docs/ABI.md): a context word per CPU that
// entry and exit code keep, its registration, and the wait of those who send
// work. I1-I11 are the invariants of docs/ORDERING.md.
#pragma once

#include <ipidefer/ipi_defer.h>

#include <atomic>

#include "guests/runtime/cpu.hpp"

namespace guest {

// The two kinds of work that are deferred.
inline constexpr u8 kVectorSync = 0xf5;
inline constexpr u8 kVectorFlush = 0xf6;

// The context word.
//  31      10   9       8     7      2 1     0
// | reserved | flush | sync | reserved | ctx  |
//              work, set by the VMM      owner only
inline constexpr u32 kCtxMask = 3;
inline constexpr u32 kCtxKernel = 0;
inline constexpr u32 kCtxIdle = 1;
inline constexpr u32 kCtxUser = 2;
inline constexpr u32 kCtxGuest = 3;
inline constexpr u32 kWorkSync = 1u << 8;
inline constexpr u32 kWorkFlush = 1u << 9;
inline constexpr u32 kWork = kWorkSync | kWorkFlush;

/// Of one CPU. Senders of other CPUs write here too.
struct Context {
    /// What the VMM is told of.
    alignas(IPI_DEFER_TABLE_BYTES)
        ipi_defer_binding table[IPI_DEFER_MAX_BINDINGS];

    alignas(64) std::atomic<u32> word;

    // I5, I9: requests, and which of them are done.
    alignas(64) std::atomic<u64> requested;
    std::atomic<u64> done;
    /// Versions of the "text" that senders change: what kernel code may rely
    /// on having seen, and what it has.
    std::atomic<u64> must_see;
    std::atomic<u64> seen;
    std::atomic<u64> flushes;

    // The owner's, with interrupts off.

    /// A table with both kinds of work for this word.
    void fill_table();
    /// Of the register's MSR.
    [[nodiscard]] u64 registration(unsigned bindings = kBindings) const;
    /// The entry atomic. @return whether the word did accept
    bool stop_accepting();
    /// The exit atomic, the last thing before user code.
    void accept();
    [[nodiscard]] bool has_work() const { return (word.load() & kWork) != 0; }
    void work();
    /// I5's check, in kernel code: has all been seen that a sender relies on?
    void check_seen() const;

    /// A sender: changes the text, tells the CPU of this ID, whose context this
    /// is, waits until it is safe; fails when that does not come.
    void synchronise(u32 id, u8 vector);

    static constexpr unsigned kBindings = 2;
};

/// Is the contract there, with F_ICR?
bool contract_found();

}  // namespace guest
