// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/binding.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>

#include "vmm/core/tests/guest_layout.hpp"

namespace ipidefer {
namespace {

using test::make_binding;

// ---- MSR_REGISTER ---------------------------------------------------------

struct RegisterCase {
    const char* name;
    std::uint64_t value;
    ipidefer_error error;
    std::uint64_t fault_value;
};

std::ostream& operator<<(std::ostream& os, const RegisterCase& c)
{
    return os << c.name;
}

class DecodeRegister : public testing::TestWithParam<RegisterCase> {};

TEST_P(DecodeRegister, FaultyValueIsRefusedAndLeavesTheOutput)
{
    ipidefer_registration out{1, 2, 3};
    ipidefer_fault fault{};
    EXPECT_EQ(decode_register(GetParam().value, out, &fault), GetParam().error);
    EXPECT_EQ(fault.error, GetParam().error);
    EXPECT_EQ(fault.value, GetParam().fault_value);
    EXPECT_EQ(out.table_gpa, 1u);
    EXPECT_EQ(out.count, 2u);
    EXPECT_EQ(out.table_bytes, 3u);
}

INSTANTIATE_TEST_SUITE_P(
    EachFault, DecodeRegister,
    testing::Values(
        RegisterCase{"Reserved1", 0x1013, IPIDEFER_E_REGISTER_RESERVED, 0x2},
        RegisterCase{"Reserved2", 0x1015, IPIDEFER_E_REGISTER_RESERVED, 0x4},
        RegisterCase{"Reserved3", 0x1019, IPIDEFER_E_REGISTER_RESERVED, 0x8},
        RegisterCase{"NotEnabled", 0x1010, IPIDEFER_E_NOT_ENABLED, 0x1010},
        RegisterCase{"CountZero", 0x1001, IPIDEFER_E_COUNT, 0},
        RegisterCase{"CountNine", 0x1091, IPIDEFER_E_COUNT, 9},
        RegisterCase{"CountFifteen", 0x10f1, IPIDEFER_E_COUNT, 15}),
    [](const auto& info) { return info.param.name; });

TEST(DecodeRegister, ZeroUnregisters)
{
    ipidefer_registration out{1, 2, 3};
    EXPECT_EQ(decode_register(0, out, nullptr), IPIDEFER_OK);
    EXPECT_EQ(out.table_gpa, 0u);
    EXPECT_EQ(out.count, 0u);
    EXPECT_EQ(out.table_bytes, 0u);
}

TEST(DecodeRegister, FieldsOfTheHighestValueAreSplit)
{
    ipidefer_registration out{};
    EXPECT_EQ(decode_register(0xffff'ffff'ffff'ff81, out, nullptr),
              IPIDEFER_OK);
    EXPECT_EQ(out.table_gpa, 0xffff'ffff'ffff'ff00u);
    EXPECT_EQ(out.count, 8u);
    EXPECT_EQ(out.table_bytes, IPI_DEFER_TABLE_BYTES);
}

// ---- Table ----------------------------------------------------------------

struct TableCase {
    const char* name;
    ipidefer_error error;
    std::function<void(ipi_defer_binding (&)[2])> damage;
};

std::ostream& operator<<(std::ostream& os, const TableCase& c)
{
    return os << c.name;
}

class DecodeTable : public testing::TestWithParam<TableCase> {
  protected:
    static std::array<ipi_defer_binding, 2> valid()
    {
        return {make_binding(0xf1, 0x100), make_binding(0xf2, 0x200)};
    }
};

TEST_P(DecodeTable, FaultInSecondBindingIsNamedAndLeavesTheOutput)
{
    ipi_defer_binding table[2] = {valid()[0], valid()[1]};
    GetParam().damage(table);
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out;
    std::memset(out.data(), 0x5a, sizeof out);
    const auto untouched = out;
    ipidefer_fault fault{};
    EXPECT_EQ(decode_table(table, sizeof table, 2, out.data(), &fault),
              GetParam().error);
    EXPECT_EQ(fault.error, GetParam().error);
    EXPECT_EQ(fault.binding, 1u);
    EXPECT_EQ(std::memcmp(out.data(), untouched.data(), sizeof out), 0);
}

using Table = ipi_defer_binding (&)[2];

INSTANTIATE_TEST_SUITE_P(
    EachFault, DecodeTable,
    testing::Values(TableCase{"Reserved0", IPIDEFER_E_RESERVED,
                              [](Table t) { t[1].reserved[0] = 1; }},
                    TableCase{"Reserved2", IPIDEFER_E_RESERVED,
                              [](Table t) { t[1].reserved[2] = 0x80; }},
                    TableCase{"OddWord", IPIDEFER_E_ALIGNMENT,
                              [](Table t) { t[1].word_gpa += 1; }},
                    TableCase{"HalfWord", IPIDEFER_E_ALIGNMENT,
                              [](Table t) { t[1].word_gpa += 2; }},
                    TableCase{"ExceptionVector", IPIDEFER_E_VECTOR,
                              [](Table t) { t[1].vector = 0x1f; }},
                    TableCase{"SpuriousVector", IPIDEFER_E_VECTOR,
                              [](Table t) { t[1].vector = 0xff; }},
                    TableCase{"SameVector", IPIDEFER_E_DUPLICATE,
                              [](Table t) { t[1].vector = t[0].vector; }},
                    TableCase{"SameBitOfSameWord", IPIDEFER_E_DUPLICATE,
                              [](Table t) { t[1].work_bit = t[0].work_bit; }},
                    TableCase{"NoAcceptMask", IPIDEFER_E_ACCEPT_MASK,
                              [](Table t) { t[1].accept_mask = 0; }},
                    TableCase{"ValueOutsideMask", IPIDEFER_E_ACCEPT_VALUE,
                              [](Table t) { t[1].accept_value = 0x8000'0000; }},
                    TableCase{"NoWorkBit", IPIDEFER_E_WORK_BIT,
                              [](Table t) { t[1].work_bit = 0; }},
                    TableCase{"TwoWorkBits", IPIDEFER_E_WORK_BIT,
                              [](Table t) { t[1].work_bit = 0x600; }},
                    TableCase{"MaskCoversOwnBit", IPIDEFER_E_OVERLAP,
                              [](Table t) { t[1].accept_mask |= 0x200; }},
                    TableCase{"MaskCoversOthersBit", IPIDEFER_E_OVERLAP,
                              [](Table t) { t[1].accept_mask |= 0x100; }},
                    TableCase{"StateCoversOwnBit", IPIDEFER_E_OVERLAP,
                              [](Table t) {
                                  t[1].state_mask = 0x600;
                                  t[1].state_shift = 9;
                              }},
                    TableCase{"StateWithHole", IPIDEFER_E_STATE,
                              [](Table t) { t[1].state_mask = 0x5; }},
                    TableCase{"StateShiftWrong", IPIDEFER_E_STATE,
                              [](Table t) { t[1].state_shift = 1; }},
                    TableCase{"StateShiftHuge", IPIDEFER_E_STATE,
                              [](Table t) { t[1].state_shift = 0xff; }},
                    TableCase{"StateValueTooLarge", IPIDEFER_E_STATE,
                              [](Table t) { t[1].state_idle = 4; }},
                    TableCase{
                        "StateValuesEqual", IPIDEFER_E_STATE,
                        [](Table t) { t[1].state_idle = t[1].state_user; }},
                    TableCase{"StateValueWithoutMask", IPIDEFER_E_STATE,
                              [](Table t) { t[1].state_mask = 0; }}),
    [](const auto& info) { return info.param.name; });

TEST_F(DecodeTable, ValidTableIsCopied)
{
    const auto table = valid();
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    EXPECT_EQ(decode_table(table.data(), sizeof table, 2, out.data(), nullptr),
              IPIDEFER_OK);
    EXPECT_EQ(std::memcmp(out.data(), table.data(), sizeof table), 0);
}

TEST_F(DecodeTable, FullTableIsAccepted)
{
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> table{}, out{};
    for (unsigned i = 0; i < table.size(); ++i)
        table[i] =
            make_binding(static_cast<std::uint8_t>(0x20 + i), 0x100u << i);
    EXPECT_EQ(decode_table(table.data(), sizeof table, IPI_DEFER_MAX_BINDINGS,
                           out.data(), nullptr),
              IPIDEFER_OK);
}

TEST_F(DecodeTable, SameBitOfAnotherWordIsAccepted)
{
    auto table = valid();
    table[1].word_gpa += 4;
    table[1].work_bit = table[0].work_bit;
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    EXPECT_EQ(decode_table(table.data(), sizeof table, 2, out.data(), nullptr),
              IPIDEFER_OK);
}

TEST_F(DecodeTable, UnalignedCopyIsRead)
{
    const auto table = valid();
    std::array<std::uint8_t, sizeof table + 1> raw{};
    std::memcpy(raw.data() + 1, table.data(), sizeof table);
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    EXPECT_EQ(
        decode_table(raw.data() + 1, sizeof table, 2, out.data(), nullptr),
        IPIDEFER_OK);
}

TEST_F(DecodeTable, ZeroedMemoryIsNoBinding)
{
    const ipi_defer_binding zero{};
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    EXPECT_NE(decode_table(&zero, sizeof zero, 1, out.data(), nullptr),
              IPIDEFER_OK);
}

TEST_F(DecodeTable, ShortCopyIsRefusedWithBothSizes)
{
    const auto table = valid();
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    ipidefer_fault fault{};
    EXPECT_EQ(decode_table(table.data(), 63, 2, out.data(), &fault),
              IPIDEFER_E_TABLE_SIZE);
    EXPECT_EQ(fault.value, 63u);
    EXPECT_EQ(fault.limit, 64u);
}

TEST_F(DecodeTable, CountOutOfRangeIsRefusedUnread)
{
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> out{};
    ipidefer_fault fault{};
    EXPECT_EQ(decode_table(nullptr, SIZE_MAX, 0, out.data(), &fault),
              IPIDEFER_E_COUNT);
    EXPECT_EQ(decode_table(nullptr, SIZE_MAX, 9, out.data(), &fault),
              IPIDEFER_E_COUNT);
    EXPECT_EQ(fault.value, 9u);
    EXPECT_EQ(fault.limit, IPI_DEFER_MAX_BINDINGS);
}

}  // namespace
}  // namespace ipidefer
