// SPDX-License-Identifier: GPL-2.0-or-later
// A guest of this guest, by AMD's SVM (APM volume 2, chapter 15): a few
// instructions on the CPU's own stack, in its own address space and with its
// own interrupt handlers.
#pragma once

#include "guests/runtime/cpu.hpp"

namespace guest {

struct NestedRun {
    u32 spin;   ///< rounds of a loop before it halts, with interrupts off
    u8 vector;  ///< is injected; 0: none, and VMRUN exits once it could be
                ///< (V_IRQ)
};

/// Executes VMRUN once; interrupts stay off.
/// @return it ended for the expected reason: HLT where something was injected,
/// else
///     because it could take an interrupt, or because the CPU has one
bool run_nested(const NestedRun& run);

/// What a CPU did with interrupts to itself while GIF was clear, and after.
struct GlobalInterrupts {
    u32 early;    ///< how many it took although GIF was clear
    u32 overdue;  ///< how many it did not take once GIF was set
};

/// Sends `vector` to itself between CLGI and STGI, again and again; interrupts
/// are enabled.
GlobalInterrupts check_global_interrupts(Cpu& self, u8 vector, u32 rounds);

}  // namespace guest
