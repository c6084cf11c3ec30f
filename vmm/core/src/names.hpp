// SPDX-License-Identifier: GPL-2.0-or-later
// Names: the verdicts as users and logs read them.
#ifndef IPIDEFER_NAMES_HPP
#define IPIDEFER_NAMES_HPP

#include <ipidefer/ipidefer.h>

namespace ipidefer {

/// "?" for a value that is no verdict.
[[nodiscard]] const char* verdict_name(ipidefer_verdict verdict) noexcept;

}  // namespace ipidefer

#endif  // IPIDEFER_NAMES_HPP
