// SPDX-License-Identifier: GPL-2.0-or-later
// Scope: what the calling thread has told of its SIGBUS, for the handler.
#pragma once

#include <signal.h>

namespace ipidefer::shm {

/// Nothing was accessed: the kernel, or another process, tells us something.
[[nodiscard]] bool asynchronous(const siginfo_t& info) noexcept;

/// What the handler does with a signal that no mapping of ours explains.
enum class Handled {
    kNot,      ///< it is another handler's
    kKept,     ///< asynchronous, in a scope: it is raised again at its end
    kForeign,  ///< synchronous, in a scope: the process ends as without one
};

/// Called by the handler, on the thread that the signal is for; returns
/// through the armed trap, if there is one and the signal is its.
[[nodiscard]] Handled handle_in_scope(const siginfo_t& info) noexcept;

}  // namespace ipidefer::shm
