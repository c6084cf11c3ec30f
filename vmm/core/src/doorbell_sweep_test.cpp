// SPDX-License-Identifier: GPL-2.0-or-later
// All 65 536 combinations of an ICR's fields rung at the doorbell, against the
// ABI header's list of what it takes, and each of the 448 bits of a multicast.
#include <gtest/gtest.h>

#include <set>

#include "vmm/core/src/doorbell.hpp"

namespace ipidefer {
namespace {

constexpr unsigned kDoorbells = 65'536;
constexpr unsigned kReservedDoorbellBits[] = {12, 13, 16, 17, 20, 21, 22, 23,
                                              24, 25, 26, 27, 28, 29, 30, 31};

/// The fields of a combination, and the register value that they make.
struct Fields {
    unsigned vector, mode, logical, level, trigger, shorthand;

    explicit Fields(unsigned n)
        : vector{n % 256},
          mode{n / 256 % 8},
          logical{n / 2048 % 2},
          level{n / 4096 % 2},
          trigger{n / 8192 % 2},
          shorthand{n / 16384}
    {
    }
    [[nodiscard]] std::uint64_t value() const
    {
        return 0xa5c3'9687ull * 0x1'0000'0000 + vector + mode * 256 +
               logical * 2048 + level * 16384 + trigger * 32768 +
               shorthand * 262144;
    }
};

/// What the ABI says is wrong with it.
std::set<ipidefer_error> oracle(const Fields& f)
{
    std::set<ipidefer_error> wrong;
    if (f.mode != 0 || f.trigger != 0) wrong.insert(IPIDEFER_E_DELIVERY);
    if (f.logical != 0) wrong.insert(IPIDEFER_E_LOGICAL);
    if (f.vector < 32 || f.vector == 255) wrong.insert(IPIDEFER_E_BELL_VECTOR);
    return wrong;
}

TEST(DoorbellSweep, EveryCombinationIsRefusedOrDeferrable)
{
    unsigned taken = 0;
    for (unsigned n = 0; n < kDoorbells; ++n) {
        const Fields f{n};
        ipidefer_icr icr{};
        ipidefer_fault fault{};
        const auto error = decode_doorbell(f.value(), icr, &fault);
        const auto wrong = oracle(f);
        if (error != IPIDEFER_OK) {
            ASSERT_EQ(wrong.count(error), 1u) << n << ": " << error;
            ASSERT_EQ(fault.error, error) << n;
            continue;
        }
        ++taken;
        ASSERT_TRUE(wrong.empty()) << n;
        ASSERT_TRUE(icr.deferrable) << n;
        ASSERT_FALSE(icr.logical) << n;
        ASSERT_EQ(icr.vector, f.vector) << n;
        ASSERT_EQ(icr.shorthand, f.shorthand) << n;
        ASSERT_EQ(icr.dest, 0xa5c3'9687u) << n;
    }
    // 223 vectors, 4 shorthands, 2 levels.
    EXPECT_EQ(taken, 223u * 4 * 2);
}

TEST(DoorbellSweep, ReservedBitsAreRefusedInEveryCombination)
{
    for (unsigned n = 0; n < kDoorbells; ++n)
        for (const unsigned bit : kReservedDoorbellBits) {
            ipidefer_icr icr{};
            ASSERT_EQ(decode_doorbell(Fields{n}.value() + (1ull << bit), icr,
                                      nullptr),
                      IPIDEFER_E_BELL_RESERVED)
                << n << " bit " << bit;
        }
}

TEST(DoorbellSweep, EachBitNamesOneIdAndNoOther)
{
    constexpr std::uint32_t kBase = 1000;
    for (std::uint32_t bit = 0; bit < 448; ++bit) {
        ipi_defer_multi r{};
        r.vector = 0x80;
        r.base = kBase;
        r.mask[bit / 64] = 1ull << bit % 64;
        ipidefer_multi out{};
        ASSERT_EQ(decode_multi(&r, sizeof r, out, nullptr), IPIDEFER_OK);
        ASSERT_EQ(out.last, bit);
        for (std::uint32_t id = 0; id < 2 * kBase; ++id)
            ASSERT_EQ(names(out, id), id == kBase + bit)
                << "bit " << bit << " id " << id;
        ASSERT_FALSE(names(out, 0xffff'ffff));
    }
}

TEST(DoorbellSweep, AllBitsNameAllTheirIds)
{
    constexpr std::uint32_t kBase = 0x8000'0003;
    ipi_defer_multi r{};
    r.vector = 0xfe;
    r.base = kBase;
    for (auto& word : r.mask) word = ~0ull;
    ipidefer_multi out{};
    ASSERT_EQ(decode_multi(&r, sizeof r, out, nullptr), IPIDEFER_OK);
    for (std::uint32_t n = 0; n < 448; ++n)
        ASSERT_TRUE(names(out, kBase + n)) << n;
    EXPECT_FALSE(names(out, kBase - 1));
    EXPECT_FALSE(names(out, kBase + 448));
}

}  // namespace
}  // namespace ipidefer
