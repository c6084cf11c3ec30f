// SPDX-License-Identifier: GPL-2.0-or-later
// What a decision costs. Only ratios of figures from one run mean anything:
// the machines are shared and their clocks wander. The promise: a deferred
// decision costs at most 3 times a bare `lock cmpxchg` on the same line
// (Paired, counter ratio_median), and a passed IPI one load and a branch.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <vector>

#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/segment_memory.hpp"

namespace ipidefer {
namespace {

using test::kFirstWork;
using test::kUser;
using test::kVector;

constexpr std::uint64_t kMaxAge = 10'000'000;  // ns

/// A word on a cache line of its own, as in a guest's per-CPU area.
struct alignas(64) Line {
    std::uint32_t word = kUser;
};

/// VM whose vCPUs all have kVector bound, each in its own line.
struct Machine {
    enum class Memory { kOwn, kShared };

    explicit Machine(std::uint32_t vcpus, Memory where = Memory::kOwn)
        : memory{where == Memory::kShared
                     ? test::make_segment_memory(
                           ipidefer_segment_bytes(vcpus, 1024))
                     : nullptr},
          vm{where == Memory::kShared
                 ? test::VmPtr{ipidefer_vm_create_in(
                       memory.get(), ipidefer_segment_bytes(vcpus, 1024), vcpus,
                       1024)}
                 : test::make_vm(vcpus)},
          lines(vcpus)
    {
        for (std::uint32_t i = 0; i < vcpus; ++i)
            if (test::bind_isolated(vm.get(), i, lines[i].word) != IPIDEFER_OK)
                std::abort();
    }

    test::SegmentMemory memory;
    test::VmPtr vm;
    std::vector<Line> lines;
};

/// The guest's side between two IPIs: the flush has cleared the bit.
void clear(std::uint32_t& word)
{
    // Ordering: RELAXED: one thread; atomic so that it is really stored.
    std::atomic_ref{word}.store(kUser, std::memory_order_relaxed);
}

bool bare_cmpxchg(std::uint32_t& word)
{
    const std::atomic_ref ref{word};
    // Ordering: as record() in context_word.hpp, to compare like with like.
    std::uint32_t seen = ref.load(std::memory_order_relaxed);
    return ref.compare_exchange_weak(seen, seen | kFirstWork,
                                     std::memory_order_release,
                                     std::memory_order_relaxed);
}

void BareCmpxchg(benchmark::State& state)
{
    Machine machine{1};
    for (auto _ : state) {
        clear(machine.lines[0].word);
        benchmark::DoNotOptimize(bare_cmpxchg(machine.lines[0].word));
    }
}
BENCHMARK(BareCmpxchg);

void Deferred(benchmark::State& state)
{
    Machine machine{1};
    for (auto _ : state) {
        clear(machine.lines[0].word);
        benchmark::DoNotOptimize(ipidefer_decide(machine.vm.get(), 0, kVector));
    }
}
BENCHMARK(Deferred);

void Coalesced(benchmark::State& state)
{
    Machine machine{1};
    for (auto _ : state)
        benchmark::DoNotOptimize(ipidefer_decide(machine.vm.get(), 0, kVector));
}
BENCHMARK(Coalesced);

void DeliveredInKernel(benchmark::State& state)
{
    Machine machine{1};
    machine.lines[0].word = test::kWatching;
    for (auto _ : state)
        benchmark::DoNotOptimize(ipidefer_decide(machine.vm.get(), 0, kVector));
}
BENCHMARK(DeliveredInKernel);

/// With a limit to its age, which takes the time of a newly set bit.
void DeferredAged(benchmark::State& state)
{
    Machine machine{1, Machine::Memory::kShared};
    ipidefer_set_max_age(machine.vm.get(), kMaxAge);
    for (auto _ : state) {
        clear(machine.lines[0].word);
        benchmark::DoNotOptimize(ipidefer_decide(machine.vm.get(), 0, kVector));
    }
}
BENCHMARK(DeferredAged);

void DeferredTraced(benchmark::State& state)
{
    Machine machine{1, Machine::Memory::kShared};
    ipidefer_set_trace(machine.vm.get(), IPIDEFER_TRACE_ALL);
    for (auto _ : state) {
        clear(machine.lines[0].word);
        benchmark::DoNotOptimize(ipidefer_decide(machine.vm.get(), 0, kVector));
    }
}
BENCHMARK(DeferredTraced);

void Passed(benchmark::State& state)
{
    Machine machine{1};
    std::uint8_t vector = 0xf0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(vector);
        benchmark::DoNotOptimize(ipidefer_typed(machine.vm.get(), vector));
    }
}
BENCHMARK(Passed);

/// One IPI to every vCPU in turn; items are targets.
void PerTarget(benchmark::State& state)
{
    const auto vcpus = static_cast<std::uint32_t>(state.range(0));
    Machine machine{vcpus};
    for (auto _ : state)
        for (std::uint32_t i = 0; i < vcpus; ++i) {
            clear(machine.lines[i].word);
            benchmark::DoNotOptimize(
                ipidefer_decide(machine.vm.get(), i, kVector));
        }
    state.SetItemsProcessed(state.iterations() * vcpus);
}
BENCHMARK(PerTarget)->RangeMultiplier(4)->Range(1, 1024);

template <class Step>
double batch_seconds(Step step)
{
    constexpr int kBatch = 20'000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kBatch; ++i) step();
    const std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    return spent.count();
}

/// Deferred over bare cmpxchg, in alternating batches on the same line.
void pair(benchmark::State& state, Machine::Memory where)
{
    Machine machine{1, where};
    std::uint32_t& word = machine.lines[0].word;
    std::vector<double> ratios;
    for (auto _ : state) {
        const double bare = batch_seconds([&] {
            clear(word);
            benchmark::DoNotOptimize(bare_cmpxchg(word));
        });
        const double deferred = batch_seconds([&] {
            clear(word);
            benchmark::DoNotOptimize(
                ipidefer_decide(machine.vm.get(), 0, kVector));
        });
        ratios.push_back(deferred / bare);
    }
    std::sort(ratios.begin(), ratios.end());
    const auto quantile = [&ratios](double q) {
        return ratios[static_cast<std::size_t>(
            q * static_cast<double>(ratios.size() - 1))];
    };
    state.counters["ratio_p10"] = quantile(0.1);
    state.counters["ratio_median"] = quantile(0.5);
    state.counters["ratio_p90"] = quantile(0.9);
}

void Paired(benchmark::State& state) { pair(state, Machine::Memory::kOwn); }
BENCHMARK(Paired)->Iterations(500);

/// In a segment that others see.
void PairedShared(benchmark::State& state)
{
    pair(state, Machine::Memory::kShared);
}
BENCHMARK(PairedShared)->Iterations(500);

}  // namespace
}  // namespace ipidefer

BENCHMARK_MAIN();
