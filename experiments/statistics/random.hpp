// SPDX-License-Identifier: GPL-2.0-or-later
// Random: numbers that a seed determines, the same on every machine and with
// every standard library. The standard says which numbers std::mt19937_64
// gives, but not what std::uniform_int_distribution and std::shuffle make of
// them, so these two are here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace ipidefer::statistics {

class Random final {
  public:
    explicit Random(std::uint64_t seed) : engine_{seed} {}

    /// Each of 0 to limit - 1 as likely as the others.
    /// @param limit not 0
    [[nodiscard]] std::uint64_t below(std::uint64_t limit)
    {
        // What would make the first remainders more likely than the last is
        // drawn again: 2^64 mod limit numbers.
        const std::uint64_t uneven = (0 - limit) % limit;
        for (;;)
            if (const std::uint64_t number = engine_(); number >= uneven)
                return number % limit;
    }

    /// Each order as likely as the others (Fisher and Yates).
    template <typename Item>
    void shuffle(std::vector<Item>& items)
    {
        for (std::size_t left = items.size(); left > 1; --left)
            std::swap(items[left - 1], items[below(left)]);
    }

  private:
    std::mt19937_64 engine_;
};

}  // namespace ipidefer::statistics
