// SPDX-License-Identifier: GPL-2.0-or-later
// Any table is either refused for a true reason, or satisfies every constraint
// that the ABI header documents. Reproduce a failure with its printed seed in
// IPIDEFER_SEED.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <random>

#include "vmm/core/src/binding.hpp"
#include "vmm/core/tests/binding_oracle.hpp"
#include "vmm/core/tests/guest_layout.hpp"
#include "vmm/core/tests/seed.hpp"

namespace ipidefer {
namespace {

using Raw = std::array<std::uint8_t, IPI_DEFER_TABLE_BYTES>;

/// The decoder and the oracle agree on this table.
void expect_agreement(const Raw& raw, std::uint32_t count)
{
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    ipidefer_fault fault{};
    const ipidefer_error error =
        decode_table(raw.data(), raw.size(), count, out.data(), &fault);
    const auto violated = test::oracle_violations(raw.data(), count);
    if (error == IPIDEFER_OK) {
        ASSERT_TRUE(violated.empty()) << "accepted, but " << *violated.begin();
        ASSERT_EQ(std::memcmp(out.data(), raw.data(),
                              count * sizeof(ipi_defer_binding)),
                  0);
    } else {
        ASSERT_EQ(violated.count(error), 1u) << "refused with " << error;
        ASSERT_LT(fault.binding, count);
    }
}

class TableProperty : public testing::Test {
  protected:
    unsigned below(unsigned n)
    {
        return std::uniform_int_distribution<unsigned>{0, n - 1}(rng_);
    }

    /// A valid table of eight bindings over up to three words.
    Raw valid_table()
    {
        std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> table{};
        for (unsigned i = 0; i < table.size(); ++i) {
            table[i] = test::make_binding(
                static_cast<std::uint8_t>(0x20 + 7 * i + below(7)),
                test::kFirstWork << i);
            table[i].word_gpa += 4 * below(3);
        }
        Raw raw;
        std::memcpy(raw.data(), table.data(), raw.size());
        return raw;
    }

    std::mt19937_64 rng_{test::seed()};
};

TEST_F(TableProperty, RandomBytesAreRefusedForATrueReason)
{
    for (int round = 0; round < 20'000; ++round) {
        Raw raw;
        for (auto& byte : raw) byte = static_cast<std::uint8_t>(rng_());
        ASSERT_NO_FATAL_FAILURE(expect_agreement(raw, 1 + below(8)))
            << "seed " << test::seed() << " round " << round;
    }
}

TEST_F(TableProperty, DamagedValidTablesAreJudgedRightly)
{
    for (int round = 0; round < 50'000; ++round) {
        Raw raw = valid_table();
        for (unsigned hits = below(4); hits > 0; --hits)
            raw[below(raw.size())] ^= static_cast<std::uint8_t>(1u << below(8));
        ASSERT_NO_FATAL_FAILURE(expect_agreement(raw, 1 + below(8)))
            << "seed " << test::seed() << " round " << round;
    }
}

TEST_F(TableProperty, SweepOfStateMasksAndShifts)
{
    for (std::uint32_t mask = 0; mask < 0x1'0000; ++mask)
        for (const unsigned up : {0u, 7u, 16u}) {
            ipi_defer_binding b = test::make_binding();
            b.work_bit = 1;
            b.accept_mask = 2;
            b.state_mask = mask << up;
            b.state_shift = static_cast<std::uint8_t>(
                b.state_mask == 0 ? 0 : std::countr_zero(b.state_mask));
            Raw raw{};
            std::memcpy(raw.data(), &b, sizeof b);
            ASSERT_NO_FATAL_FAILURE(expect_agreement(raw, 1)) << mask;
        }
}

TEST_F(TableProperty, SweepOfStateValues)
{
    for (unsigned values = 0; values < 6 * 6 * 6; ++values)
        for (const std::uint32_t mask : {0u, 1u, 3u, 7u}) {
            ipi_defer_binding b = test::make_binding();
            b.state_mask = mask;
            b.state_user = static_cast<std::uint8_t>(values % 6);
            b.state_guest = static_cast<std::uint8_t>(values / 6 % 6);
            b.state_idle = static_cast<std::uint8_t>(values / 36);
            Raw raw{};
            std::memcpy(raw.data(), &b, sizeof b);
            ASSERT_NO_FATAL_FAILURE(expect_agreement(raw, 1)) << values;
        }
}

TEST_F(TableProperty, SweepOfSingleBitMasksAndWorkBits)
{
    for (unsigned accept = 0; accept < 32; ++accept)
        for (unsigned work = 0; work < 32; ++work)
            for (unsigned other = 0; other < 32; ++other) {
                ipi_defer_binding b[2] = {
                    test::make_binding(0xf1, 1u << work),
                    test::make_binding(0xf2, 1u << other)};
                b[0].accept_mask = b[0].accept_value = 1u << accept;
                Raw raw{};
                std::memcpy(raw.data(), b, sizeof b);
                ASSERT_NO_FATAL_FAILURE(expect_agreement(raw, 2));
            }
}

TEST_F(TableProperty, SweepOfVectors)
{
    for (unsigned vector = 0; vector < 256; ++vector) {
        const ipi_defer_binding b =
            test::make_binding(static_cast<std::uint8_t>(vector));
        Raw raw{};
        std::memcpy(raw.data(), &b, sizeof b);
        ASSERT_NO_FATAL_FAILURE(expect_agreement(raw, 1)) << vector;
    }
}

TEST(RegisterProperty, SweepOfLowBytesFollowsTheHeader)
{
    for (const std::uint64_t gpa : {0ull, 0x100ull, 0xffff'ffff'ffff'ff00ull})
        for (unsigned low = 0; low < 256; ++low) {
            ipidefer_registration out{};
            const std::uint64_t value = gpa + low;
            const unsigned count = low / 16;
            const bool valid =
                value == 0 || (low % 16 == 1 && count >= 1 && count <= 8);
            EXPECT_EQ(decode_register(value, out, nullptr) == IPIDEFER_OK,
                      valid)
                << value;
            if (!valid || value == 0) continue;
            EXPECT_EQ(out.table_gpa, gpa);
            EXPECT_EQ(out.count, count);
            EXPECT_EQ(out.table_bytes, count * 32);
        }
}

}  // namespace
}  // namespace ipidefer
