// SPDX-License-Identifier: GPL-2.0-or-later
// Policy: what the operator allows. The words lie in memory that others may
// write (I7): each is read once per use, through a mask, and every value of it
// is a policy. Zeroed words deliver everything.
//
// Ordering: RELAXED throughout. Each field is a flag of its own that guards no
//   other memory: a decision sees it on or off, and both are correct (I4).
//   Writers are control threads and other processes, readers the senders'
//   vCPU threads.
#ifndef IPIDEFER_POLICY_HPP
#define IPIDEFER_POLICY_HPP

#include <ipidefer/ipidefer.h>

#include <atomic>
#include <cstdint>

#include "vmm/core/src/trace_leases.hpp"

namespace ipidefer {

class Policy final {
  public:
    /// @param words zeroed; become the policy that a VM starts with
    explicit Policy(ipidefer_segment_policy* words) noexcept : words_{words}
    {
        set_enabled(true);
        set_contexts(IPIDEFER_CONTEXT_USER | IPIDEFER_CONTEXT_GUEST);
    }

    void set_enabled(bool enabled) noexcept
    {
        store(words_->enabled, enabled ? 1u : 0u);
    }
    [[nodiscard]] bool enabled() const noexcept
    {
        return (load(words_->enabled) & 1) != 0;
    }

    void set_contexts(std::uint32_t contexts) noexcept
    {
        store(words_->contexts,
              contexts & std::uint32_t{IPIDEFER_CONTEXTS_ALL});
    }
    [[nodiscard]] std::uint32_t contexts() const noexcept
    {
        return load(words_->contexts) & IPIDEFER_CONTEXTS_ALL;
    }

    void set_vector_allowed(std::uint8_t vector, bool allowed) noexcept
    {
        set_bit(words_->denied, vector, !allowed);
    }
    [[nodiscard]] bool vector_allowed(std::uint8_t vector) const noexcept
    {
        return !bit(words_->denied, vector);
    }

    /// @param vcpu below IPIDEFER_MAX_VCPUS
    void set_isolated(std::uint32_t vcpu, bool isolated) noexcept
    {
        set_bit(words_->isolated, vcpu, isolated);
    }
    /// @param vcpu below IPIDEFER_MAX_VCPUS
    [[nodiscard]] bool isolated(std::uint32_t vcpu) const noexcept
    {
        return bit(words_->isolated, vcpu);
    }

    void set_max_age(std::uint64_t ns) noexcept
    {
        store(words_->max_age_ns, ns);
    }
    /// Nanoseconds; 0: no limit.
    [[nodiscard]] std::uint64_t max_age() const noexcept
    {
        return load(words_->max_age_ns);
    }

    /// What is traced with no reader.
    void set_trace(std::uint32_t kinds) noexcept
    {
        store(words_->trace_base, kinds & std::uint32_t{IPIDEFER_TRACE_ALL});
        settle_trace(*words_);
    }
    /// What is traced now.
    [[nodiscard]] std::uint32_t trace() const noexcept
    {
        return load(words_->trace) & IPIDEFER_TRACE_ALL;
    }

    [[nodiscard]] ipidefer_segment_policy& words() noexcept { return *words_; }

  private:
    static constexpr unsigned kBits = 64;

    template <class Word>
    static void store(Word& word, Word value) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        std::atomic_ref{word}.store(value, std::memory_order_relaxed);
    }

    template <class Word>
    [[nodiscard]] static Word load(Word& word) noexcept
    {
        // Ordering: RELAXED: see the head of this file.
        return std::atomic_ref{word}.load(std::memory_order_relaxed);
    }

    static void set_bit(std::uint64_t* words, std::uint32_t index,
                        bool on) noexcept
    {
        const std::atomic_ref word{words[index / kBits]};
        const std::uint64_t bit = std::uint64_t{1} << index % kBits;
        // Ordering: RELAXED: see the head of this file. An RMW, since other
        //   threads may be setting other bits of the same word.
        if (on)
            word.fetch_or(bit, std::memory_order_relaxed);
        else
            word.fetch_and(~bit, std::memory_order_relaxed);
    }

    [[nodiscard]] static bool bit(std::uint64_t* words,
                                  std::uint32_t index) noexcept
    {
        return (load(words[index / kBits]) >> index % kBits & 1) != 0;
    }

    ipidefer_segment_policy* words_;
};

}  // namespace ipidefer

#endif  // IPIDEFER_POLICY_HPP
