// SPDX-License-Identifier: GPL-2.0-or-later
// Runs as they should be, for tests to break in one place.
#pragma once

#include "base/cpulist.hpp"
#include "experiments/lab/run.hpp"
#include "experiments/lab/snapshot.hpp"

namespace ipidefer::lab::test {

inline constexpr unsigned kVector = 0xf5;
inline const CpuSet kIsolated{2, 3};

// Words of the lab's kernel: not watching and in userspace, with and without
// the work bit; and in the kernel.
inline constexpr std::uint32_t kUser = 0x1002;
inline constexpr std::uint32_t kUserPending = 0x1006;
inline constexpr std::uint32_t kInKernel = 0x1041;

inline Histogram::Entry entry(std::map<std::string, std::string> keys,
                              std::uint64_t hits)
{
    return {std::move(keys), hits};
}

/// Both isolated vCPUs tell the same story: 10 requests from A to B and none
/// from B to C. hv: 1 deferred, 9 coalesced, and flushed after B. guest: 10
/// suppressed. off: no requests.
Snapshots good_run(Mode mode);

/// The result of good_run(), with everything that a report shows.
Run good_result(Mode mode);

}  // namespace ipidefer::lab::test
