// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest's kernel says about itself: ipi_defer's statistics,
// /proc/interrupts, and histograms of trace events.
// Guest text is not trusted: what does not parse throws a Failure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cpulist.hpp"

namespace ipidefer::lab {

/// One line of /sys/kernel/debug/x86/ipi_defer/stats.
struct WorkStats {
    std::uint64_t requested = 0;
    std::int64_t suppressed = 0;  // in hv and off a difference
    std::uint64_t delivered = 0;
    std::uint64_t flushed = 0;
    std::uint64_t done = 0;
    std::uint64_t seq = 0;
    std::uint32_t state = 0;

    bool operator==(const WorkStats&) const = default;
};

struct GuestStats {
    std::string mode;
    /// In the kernel's order, which is that of the bindings.
    std::vector<std::string> works;
    /// By CPU and work.
    std::map<std::pair<unsigned, std::string>, WorkStats> rows;
};

/// Rows of /proc/interrupts that count per CPU.
struct Interrupts {
    struct Row {
        std::map<unsigned, std::uint64_t> taken;  // by CPU
        std::string description;
    };
    std::map<std::string, Row> rows;
};

/// A hist trigger's file.
struct Histogram {
    struct Entry {
        /// Key field to value; of a symbol, its name.
        std::map<std::string, std::string> keys;
        std::uint64_t hits = 0;
    };
    std::vector<Entry> entries;
    std::uint64_t dropped = 0;
};

[[nodiscard]] GuestStats parse_stats(std::string_view text);
/// /sys/kernel/debug/x86/ipi_defer/resent.
[[nodiscard]] std::uint64_t parse_resent(std::string_view text);
[[nodiscard]] Interrupts parse_interrupts(std::string_view text);
[[nodiscard]] Histogram parse_histogram(std::string_view text);

}  // namespace ipidefer::lab
