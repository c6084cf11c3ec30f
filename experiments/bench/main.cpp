// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer-bench, which `ipidefer bench` runs.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "base/installed.hpp"
#include "base/version.hpp"
#include "experiments/bench/bench_core.hpp"
#include "experiments/bench/bench_kvm.hpp"

namespace {

int run(int argc, char** argv)
{
    using namespace ipidefer;
    CLI::App app{"ipidefer bench: benchmarks", "ipidefer bench"};
    app.set_version_flag("--version", version_text("ipidefer-bench"));
    app.require_subcommand(1);
    auto* core = app.add_subcommand(
        "core", "what a decision costs, in units of a bare lock cmpxchg");
    std::vector<std::string> benchmark_arguments;
    core->add_option("arguments", benchmark_arguments,
                     "for Google Benchmark, after --");
    auto* kvm = app.add_subcommand(
        "kvm",
        "what delivered and deferred IPIs cost a loop and their sender, on "
        "real KVM exits");
    bench::BenchKvmOptions kvm_options;
    bench::add_options(*kvm, kvm_options);
    if (const auto status = parse_command_line(app, argc, argv)) return *status;

    if (*core)
        return bench::bench_core(installed("ipidefer-bench-core"),
                                 benchmark_arguments);
    return bench::bench_kvm(installed("ipidefer-vmm"),
                            installed("kvm-guest.elf"), kvm_options);
}

}  // namespace

int main(int argc, char** argv)
{
    return ipidefer::main_of("ipidefer bench", [&] { return run(argc, argv); });
}
