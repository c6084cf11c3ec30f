// SPDX-License-Identifier: GPL-2.0-or-later
// All 65 536 combinations of vector, delivery mode, destination mode, level,
// trigger mode and shorthand, in both formats, against the SDM's table of
// valid combinations (vol. 3A 11.6.1, Pentium 4 and later), written out below.
#include <gtest/gtest.h>

#include <set>
#include <string_view>
#include <tuple>

#include "vmm/core/src/icr.hpp"

namespace ipidefer {
namespace {

/// The fields of a combination, and the register value that they make.
struct Combination {
    unsigned vector, mode, logical, level, trigger, shorthand;

    explicit Combination(unsigned n)
        : vector{n % 256},
          mode{n / 256 % 8},
          logical{n / 2048 % 2},
          level{n / 4096 % 2},
          trigger{n / 8192 % 2},
          shorthand{n / 16384}
    {
    }

    /// Place values of the fields, as in the SDM's figure of the register.
    [[nodiscard]] std::uint32_t low() const
    {
        return vector + mode * 256 + logical * 2048 + level * 16384 +
               trigger * 32768 + shorthand * 262144;
    }
};

constexpr unsigned kCombinations = 65'536;

/// One row of the table that says "valid". Modes by number of the SDM's
/// delivery mode field; destination and level are "don't care".
struct ValidRow {
    std::string_view shorthand;
    std::string_view trigger;
    std::set<unsigned> modes;
};

const ValidRow kValid[] = {
    {"none", "edge", {0, 1, 2, 4, 5, 6}},
    {"self", "edge", {0}},
    {"all including self", "edge", {0}},
    {"all excluding self", "edge", {0, 1, 2, 4, 5, 6}},
};

bool oracle_legal(const Combination& c)
{
    static constexpr std::string_view kShorthands[] = {
        "none", "self", "all including self", "all excluding self"};
    static constexpr std::string_view kTriggers[] = {"edge", "level"};
    // Modes that carry a vector refuse the sixteen reserved ones.
    if (c.mode <= 1 && c.vector <= 15) return false;
    for (const ValidRow& row : kValid)
        if (row.shorthand == kShorthands[c.shorthand] &&
            row.trigger == kTriggers[c.trigger] && row.modes.count(c.mode) != 0)
            return true;
    return false;
}

auto fields(const ipidefer_icr& i)
{
    return std::tuple{unsigned{i.vector},    unsigned{i.delivery},
                      unsigned{i.shorthand}, i.logical,
                      i.assert_level,        i.level_trigger};
}

auto fields(const Combination& c)
{
    return std::tuple{c.vector,       c.mode,       c.shorthand,
                      c.logical == 1, c.level == 1, c.trigger == 1};
}

TEST(IcrSweep, XapicDecodesEveryCombination)
{
    for (unsigned n = 0; n < kCombinations; ++n) {
        const Combination c{n};
        const ipidefer_icr icr = decode_icr_xapic(c.low(), 0xa5ff'ffff);
        ASSERT_EQ(fields(icr), fields(c)) << n;
        ASSERT_EQ(icr.dest, 0xa5u);
        ASSERT_FALSE(icr.x2apic);
        ASSERT_EQ(icr.legal, oracle_legal(c)) << n;
        ASSERT_EQ(icr.deferrable, oracle_legal(c) && c.mode == 0) << n;
    }
}

TEST(IcrSweep, X2apicDecodesEveryCombination)
{
    for (unsigned n = 0; n < kCombinations; ++n) {
        const Combination c{n};
        const ipidefer_icr icr =
            decode_icr_x2apic(c.low() + (0xa5c3'9687ull << 32));
        ASSERT_EQ(fields(icr), fields(c)) << n;
        ASSERT_EQ(icr.dest, 0xa5c3'9687u);
        ASSERT_TRUE(icr.x2apic);
        ASSERT_EQ(icr.legal, oracle_legal(c)) << n;
        ASSERT_EQ(icr.deferrable, oracle_legal(c) && c.mode == 0) << n;
    }
}

// Bits 12, 13, 16, 17 and 20..31.
constexpr unsigned kReservedBits[] = {12, 13, 16, 17, 20, 21, 22, 23,
                                      24, 25, 26, 27, 28, 29, 30, 31};

TEST(IcrSweep, XapicIgnoresReservedBitsInEveryCombination)
{
    for (unsigned n = 0; n < kCombinations; ++n)
        for (const unsigned bit : kReservedBits) {
            const Combination c{n};
            const ipidefer_icr icr = decode_icr_xapic(c.low() + (1u << bit), 0);
            ASSERT_EQ(fields(icr), fields(c)) << n << " bit " << bit;
            ASSERT_EQ(icr.legal, oracle_legal(c)) << n << " bit " << bit;
        }
}

TEST(IcrSweep, X2apicCallsReservedBitsIllegalInEveryCombination)
{
    for (unsigned n = 0; n < kCombinations; ++n)
        for (const unsigned bit : kReservedBits) {
            const Combination c{n};
            const ipidefer_icr icr = decode_icr_x2apic(c.low() + (1u << bit));
            ASSERT_FALSE(icr.legal) << n << " bit " << bit;
            ASSERT_FALSE(icr.deferrable) << n << " bit " << bit;
        }
}

}  // namespace
}  // namespace ipidefer
