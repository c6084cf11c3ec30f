// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/policy.hpp"

#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <cstdint>

#include "base/duration.hpp"
#include "base/option_value.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::terms {
namespace {

constexpr unsigned kBits = 64;

/// A load that the compiler neither splits nor repeats.
/// Ordering: RELAXED: each word is a flag of its own (vmm/core policy.hpp).
template <class Word>
Word load(const Word& word) noexcept
{
    return __atomic_load_n(&word, __ATOMIC_RELAXED);
}

template <class Word>
void store(Word& word, Word value) noexcept
{
    __atomic_store_n(&word, value, __ATOMIC_RELAXED);
}

/// Set and clear bits of a word that others may be changing too.
template <class Word>
void change_bits(Word& word, Word mask, Word bits) noexcept
{
    Word seen = load(word);
    while (!__atomic_compare_exchange_n(
        &word, &seen, static_cast<Word>((seen & ~mask) | bits), true,
        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

std::string list_or_none(const CpuSet& cpus)
{
    return cpus.empty() ? "none" : format_cpulist(cpus);
}

std::string vectors_or_none(const std::set<std::uint8_t>& vectors)
{
    std::string text;
    for (const std::uint8_t vector : vectors) {
        if (!text.empty()) text += ',';
        text += vector_name(vector);
    }
    return text.empty() ? "none" : text;
}

}  // namespace

Policy read_policy(const ipidefer_segment_policy& words, std::uint32_t vcpus)
{
    Policy policy;
    policy.enabled = (load(words.enabled) & 1) != 0;
    const std::uint32_t contexts = load(words.contexts);
    policy.user = (contexts & IPIDEFER_CONTEXT_USER) != 0;
    policy.guest = (contexts & IPIDEFER_CONTEXT_GUEST) != 0;
    policy.idle = (contexts & IPIDEFER_CONTEXT_IDLE) != 0;
    for (std::uint32_t vcpu = 0; vcpu < vcpus; ++vcpu)
        if ((load(words.isolated[vcpu / kBits]) >> vcpu % kBits & 1) != 0)
            policy.isolated.insert(policy.isolated.end(), vcpu);
    for (unsigned v = 0; v < 256; ++v)
        if ((load(words.denied[v / kBits]) >> v % kBits & 1) != 0)
            policy.denied.insert(static_cast<std::uint8_t>(v));
    policy.max_age = std::chrono::nanoseconds{static_cast<std::int64_t>(
        std::min<std::uint64_t>(load(words.max_age_ns), INT64_MAX))};
    policy.trace = load(words.trace) & IPIDEFER_TRACE_ALL;
    return policy;
}

bool PolicyChange::empty() const noexcept
{
    return !enabled && !user && !guest && !idle && !isolated &&
           vectors.empty() && !max_age;
}

void apply(const PolicyChange& change, ipidefer_segment_policy& words,
           std::uint32_t vcpus)
{
    std::uint32_t mask = 0;
    std::uint32_t contexts = 0;
    const auto context = [&](const std::optional<bool>& allowed,
                             std::uint32_t bit) {
        if (!allowed) return;
        mask |= bit;
        if (*allowed) contexts |= bit;
    };
    context(change.user, IPIDEFER_CONTEXT_USER);
    context(change.guest, IPIDEFER_CONTEXT_GUEST);
    context(change.idle, IPIDEFER_CONTEXT_IDLE);
    if (mask != 0) change_bits(words.contexts, mask, contexts);
    if (change.isolated)
        for (std::uint32_t i = 0; i < (vcpus + kBits - 1) / kBits; ++i) {
            std::uint64_t word = 0;
            for (unsigned bit = 0; bit < kBits; ++bit)
                if (change.isolated->contains(i * kBits + bit))
                    word |= std::uint64_t{1} << bit;
            store(words.isolated[i], word);
        }
    for (const auto& [vector, allowed] : change.vectors) {
        const std::uint64_t bit = std::uint64_t{1} << vector % kBits;
        change_bits(words.denied[vector / kBits], bit,
                    allowed ? std::uint64_t{0} : bit);
    }
    if (change.max_age)
        store(words.max_age_ns,
              static_cast<std::uint64_t>(change.max_age->count()));
    // Last: switching on finds the rest in place.
    if (change.enabled)
        store(words.enabled, *change.enabled ? std::uint32_t{1} : 0);
    if (!change.empty())
        __atomic_fetch_add(&words.changes, 1, __ATOMIC_RELAXED);
}

std::string age_or_none(std::chrono::nanoseconds age)
{
    return age.count() == 0 ? "none" : format_duration(age);
}

std::vector<std::string> differences(const Policy& before, const Policy& after)
{
    std::vector<std::string> lines;
    const auto field = [&lines](const char* name, const std::string& from,
                                const std::string& to) {
        if (from == to) return;
        std::string line{name};
        line += ' ';
        line += from;
        line += " -> ";
        line += to;
        lines.push_back(std::move(line));
    };
    field("enabled", on_off(before.enabled), on_off(after.enabled));
    field("user", on_off(before.user), on_off(after.user));
    field("guest", on_off(before.guest), on_off(after.guest));
    field("idle", on_off(before.idle), on_off(after.idle));
    field("isolated", list_or_none(before.isolated),
          list_or_none(after.isolated));
    field("denied", vectors_or_none(before.denied),
          vectors_or_none(after.denied));
    field("max_age", age_or_none(before.max_age), age_or_none(after.max_age));
    field("trace", std::to_string(before.trace), std::to_string(after.trace));
    return lines;
}

}  // namespace ipidefer::terms
