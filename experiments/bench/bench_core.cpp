// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/bench/bench_core.hpp"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/json_reader.hpp"
#include "base/program.hpp"
#include "base/table.hpp"

namespace ipidefer::bench {
namespace {

using nlohmann::json;

constexpr char kBase[] = "BareCmpxchg";
/// Interleaves both sides, and computes the ratios that count by itself.
constexpr char kPaired[] = "Paired";

std::string fixed(double value) { return fmt::format("{:.2f}", value); }

json results_from(std::string_view text)
{
    std::string why = "it has no benchmarks";
    try {
        json results = read_json(text);
        if (results.is_object() && results.contains("benchmarks"))
            return results;
    } catch (const Failure& failure) {
        why = failure.what();
    }
    throw Failure{Exit::kCannotRun,
                  "the benchmark's output is not what was expected: " + why,
                  std::string{text.substr(0, 1000)}};
}

}  // namespace

std::string ratio_table(std::string_view text)
{
    const json results = results_from(text);
    double base = 0;
    for (const auto& b : results["benchmarks"])
        if (b.value("name", "") == kBase) base = b.value("cpu_time", 0.0);

    Table table{{Table::left("decision", 24), Table::right("ns", 8),
                 Table::right("over bare cmpxchg", 22)}};
    for (const auto& b : results["benchmarks"]) {
        const std::string name = b.value("name", "?");
        const double ns = b.value("cpu_time", 0.0);
        const bool paired = name.starts_with(kPaired);
        const std::string single = base > 0 ? fixed(ns / base) : "-";
        const std::string ratios = fmt::format(
            "{:.2f} ({:.2f} to {:.2f})", b.value("ratio_median", 0.0),
            b.value("ratio_p10", 0.0), b.value("ratio_p90", 0.0));
        table.row({name.substr(0, name.find("/iterations")),
                   paired ? "" : fixed(ns), paired ? ratios : single});
    }
    return table.text();
}

int bench_core(const std::filesystem::path& benchmark,
               std::vector<std::string> arguments)
{
    if (!std::filesystem::exists(benchmark))
        throw Failure{Exit::kCannotRun,
                      benchmark.string() +
                          " is not there: build with IPIDEFER_BUILD_BENCH=ON"};
    arguments.emplace_back("--benchmark_format=json");
    const auto result = run_program(benchmark, arguments);
    if (result.status != 0)
        throw Failure{Exit::kCannotRun,
                      benchmark.filename().string() + " ended with status " +
                          std::to_string(result.status),
                      result.output};
    // Its remarks on the machine come first.
    const auto begin = result.output.find("\n{\n");
    std::cout << ratio_table(
        begin == std::string::npos
            ? std::string_view{result.output}
            : std::string_view{result.output}.substr(begin));
    return static_cast<int>(Exit::kDone);
}

}  // namespace ipidefer::bench
