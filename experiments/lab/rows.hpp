// SPDX-License-Identifier: GPL-2.0-or-later
// Rows: what tables show of runs, whether there is one of each mode or there
// are many.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/lab/run.hpp"

namespace ipidefer::lab {

using Runs = std::vector<const Run*>;

struct Row {
    enum class Unit { kCount, kMilliseconds };

    /// For programs: what is counted, and of what; the two never change.
    std::string kind;
    std::string key;
    std::string label;  // indented, below a section's title
    /// Nothing where a run cannot have it.
    std::function<std::optional<double>(const Run&)> number;
    /// In place of a number, where there is none.
    std::function<std::optional<std::string>(const Run&)> text;
    Unit unit = Unit::kCount;
};

struct Section {
    /// Empty for what follows the section before.
    std::string title;
    /// None: there is nothing of the kind, which is worth a line.
    std::vector<Row> rows;
};

/// "count", "ms".
[[nodiscard]] const char* name(Row::Unit unit) noexcept;

/// Of one workload: rows that any of the runs has.
[[nodiscard]] std::vector<Section> sections_of(const Runs& runs);

/// All interrupts that isolated vCPUs took.
[[nodiscard]] Row total_row();

/// A number of this row, without needless digits.
[[nodiscard]] std::string shown(const Row& row, double number);

/// Of the section that total_row() is the sum of.
inline constexpr char kInterruptsTitle[] = "interrupts they took";
/// Below the title of a section without rows.
inline constexpr char kNoRows[] = "  none";
/// What a mode cannot have.
inline constexpr char kNoCell[] = "-";
/// The last row of all: whether guest and VMM agree.
inline constexpr char kAgreeRow[] = "guest and VMM agree";

/// A column's title: "hv", or what it ran as instead: "hv (ran off)".
[[nodiscard]] std::string column_title(const Run& run);

/// "workload mixed, isolated vCPUs 2-3, tcg".
[[nodiscard]] std::string workload_title(const Run& run);

}  // namespace ipidefer::lab
