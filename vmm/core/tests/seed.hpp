// SPDX-License-Identifier: GPL-2.0-or-later
// Where the property tests' randomness comes from.
#ifndef IPIDEFER_TESTS_SEED_HPP
#define IPIDEFER_TESTS_SEED_HPP

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

namespace ipidefer::test {

/// $IPIDEFER_SEED, or another one in each process, which a failure is repeated
/// with: it is printed, and in the test's record.
inline std::uint64_t seed()
{
    static const std::uint64_t seed = [] {
        const char* given = std::getenv("IPIDEFER_SEED");
        const std::uint64_t one = given != nullptr
                                      ? std::strtoull(given, nullptr, 0)
                                      : std::random_device{}();
        std::cout << "IPIDEFER_SEED=" << one << '\n';
        return one;
    }();
    testing::Test::RecordProperty("seed", std::to_string(seed));
    return seed;
}

}  // namespace ipidefer::test

#endif  // IPIDEFER_TESTS_SEED_HPP
