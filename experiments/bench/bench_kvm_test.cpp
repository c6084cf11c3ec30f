// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/bench/bench_kvm.hpp"

#include <gtest/gtest.h>

#include "base/failure_testing.hpp"

namespace ipidefer::bench {
namespace {

using nlohmann::json;

constexpr char kConsole[] =
    "round=0 phase=0 sent=0 loops=1000 \n"
    "round=0 phase=1 sent=10 loops=200 \n"
    "round=0 phase=2 sent=20 loops=990 \n== end\n";

json vmm_report()
{
    json report{{"kvm", {{"backend", "emulating"}, {"exits_counted", true}}},
                {"marks", json::array()}};
    const auto mark = [&](unsigned value, unsigned ns, unsigned returns) {
        const json vcpu{{"returns", returns}, {"exits", 2 * returns}};
        report["marks"].push_back(
            {{"value", value}, {"ns", ns}, {"vcpus", {vcpu, vcpu}}});
    };
    mark(0x000, 0, 5);
    mark(0x100, 1000, 5);
    mark(0x001, 2000, 6);
    mark(0x101, 3000, 16);
    mark(0x002, 4000, 20);
    mark(0x102, 5000, 20);
    return report;
}

/// Two threads on one CPU would measure the scheduler.
TEST(BenchKvm, RefusalsNameOptionValueAndLimit)
{
    const auto refusal = [](const BenchKvmOptions& options) {
        return refusal_of([&] { check_options(options); });
    };
    EXPECT_EQ(refusal({}), "");
    BenchKvmOptions options;
    options.pin = "1,0";
    EXPECT_EQ(refusal(options), "");
    options.pin = "0,0";
    EXPECT_EQ(refusal(options),
              "--pin: '0,0' names host CPU 0 twice: each of 2 vCPUs needs one "
              "of its own");
    options.pin = "0-2";
    EXPECT_EQ(refusal(options), "--pin: '0-2' names 3 host CPUs for 2 vCPUs");
    options = {};
    options.rounds = 0;
    EXPECT_EQ(refusal(options), "--rounds: 0 is not within 1 and 500");
    options = {};
    options.window = 20'001;
    EXPECT_EQ(refusal(options),
              "--window: 20001 is not within 1 and 20000 million TSC ticks");
    options = {};
    options.json = "/nope/x";
    EXPECT_TRUE(refusal(options).starts_with("--json: '/nope/x'"));
}

TEST(BenchKvm, PairsPhasesOfARound)
{
    const auto rounds = bench_rounds(kConsole, vmm_report());
    ASSERT_EQ(rounds.size(), 1u);
    EXPECT_EQ(rounds[0].delivered.returns, 10u);
    EXPECT_EQ(rounds[0].delivered.exits, 20u);
    EXPECT_EQ(rounds[0].deferred.returns, 0u);
    EXPECT_EQ(rounds[0].deferred.sent, 20u);
    const json report = bench_json(rounds, vmm_report());
    EXPECT_DOUBLE_EQ(report["progress_over_quiet"]["delivered"]["median"], 0.2);
    EXPECT_DOUBLE_EQ(report["progress_over_quiet"]["deferred"]["median"], 0.99);
    EXPECT_DOUBLE_EQ(report["sender_ns_per_ipi"]["delivered"]["median"], 100);
    EXPECT_DOUBLE_EQ(report["sender_cost_deferred_over_delivered"]["median"],
                     0.5);
}

TEST(BenchKvm, ReportIsAnObjectOfABoundedDepth)
{
    const auto refusal = [](const std::string& text) {
        return refusal_of([&] { return read_vmm_report(text); });
    };
    EXPECT_EQ(read_vmm_report(vmm_report().dump()), vmm_report());
    EXPECT_EQ(refusal("[]"),
              "the VMM's output is not what was expected: its "
              "report is no object");
    EXPECT_EQ(refusal("{\"kvm\":" + std::string(80'000, '[') +
                      std::string(80'000, ']') + '}'),
              "the VMM's output is not what was expected: JSON: it is nested "
              "80001 deep, the most is 64");
}

TEST(BenchKvm, TheTableSaysWhenKvmEmulates)
{
    json vmm = vmm_report();
    const auto table = [&] {
        return bench_table(bench_json(bench_rounds(kConsole, vmm), vmm));
    };
    EXPECT_NE(table().find("executes ring 0 in software"), std::string::npos);
    vmm["kvm"]["backend"] = "whole";
    EXPECT_EQ(table().find("software"), std::string::npos);
}

TEST(BenchKvm, OutputThatLacksSomethingIsRefused)
{
    EXPECT_THROW((void)bench_rounds("", vmm_report()), Failure);
    EXPECT_THROW(
        (void)bench_rounds("round=0 phase=3 sent=1 loops=1", vmm_report()),
        Failure);
    EXPECT_THROW(
        (void)bench_rounds("round=0 phase=0 sent=0 loops=1", vmm_report()),
        Failure);
    EXPECT_THROW(
        (void)bench_rounds("round=7 phase=0 sent=x loops=1", vmm_report()),
        Failure);
    json without = vmm_report();
    without["marks"].clear();
    EXPECT_THROW((void)bench_rounds(kConsole, without), Failure);
}

}  // namespace
}  // namespace ipidefer::bench
