// SPDX-License-Identifier: GPL-2.0-or-later
// `ipidefer bench core`: the core's benchmark, its figures as ratios.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ipidefer::bench {

/// From Google Benchmark's JSON to a table: times over that of a bare
/// `lock cmpxchg` of the same run. Throws a Failure for other input.
[[nodiscard]] std::string ratio_table(std::string_view json);

/// Runs the benchmark with `arguments`, prints the table, returns its status.
[[nodiscard]] int bench_core(const std::filesystem::path& benchmark,
                             std::vector<std::string> arguments);

}  // namespace ipidefer::bench
