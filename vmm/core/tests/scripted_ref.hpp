// SPDX-License-Identifier: GPL-2.0-or-later
// Scripted atomic: stands in for std::atomic_ref, lets "the other side" change
// the word between any two accesses, and keeps a log of what was done.
#ifndef IPIDEFER_TESTS_SCRIPTED_REF_HPP
#define IPIDEFER_TESTS_SCRIPTED_REF_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

namespace ipidefer::test {

struct CasAttempt {
    std::uint32_t expected;
    std::uint32_t desired;
    bool succeeded;
    std::memory_order success;
};

/// One test's script and log. Exactly one exists while a test runs.
class Script {
  public:
    Script() { current = this; }
    ~Script() { current = nullptr; }
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;

    /// What the other side does right before attempt number `attempt`.
    std::function<void(std::uint32_t& word, std::size_t attempt)> before_cas =
        [](std::uint32_t&, std::size_t) {};
    std::size_t loads = 0;
    std::vector<CasAttempt> attempts;

    inline static Script* current = nullptr;
};

template <class T>
class ScriptedRef {
  public:
    explicit ScriptedRef(T& word) : word_{word} {}

    T load(std::memory_order) const
    {
        ++Script::current->loads;
        return word_;
    }

    bool compare_exchange_weak(T& expected, T desired,
                               std::memory_order success,
                               std::memory_order failure) const
    {
        return compare_exchange_strong(expected, desired, success, failure);
    }

    bool compare_exchange_strong(T& expected, T desired,
                                 std::memory_order success,
                                 std::memory_order) const
    {
        Script& script = *Script::current;
        script.before_cas(word_, script.attempts.size());
        const bool equal = word_ == expected;
        script.attempts.push_back({expected, desired, equal, success});
        if (equal)
            word_ = desired;
        else
            expected = word_;
        return equal;
    }

  private:
    T& word_;
};

}  // namespace ipidefer::test

#endif  // IPIDEFER_TESTS_SCRIPTED_REF_HPP
