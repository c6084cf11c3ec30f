// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/binding.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>

#include "vmm/core/src/fault.hpp"

namespace ipidefer {
namespace {

using Bindings = std::span<const ipi_defer_binding>;

bool contiguous(std::uint32_t mask) noexcept
{
    const std::uint32_t field = mask >> std::countr_zero(mask);
    return (field & (field + 1)) == 0;
}

bool state_consistent(const ipi_defer_binding& b) noexcept
{
    if (b.state_mask == 0)
        return b.state_shift == 0 && b.state_user == 0 && b.state_guest == 0 &&
               b.state_idle == 0;
    if (!contiguous(b.state_mask)) return false;
    if (b.state_shift != std::countr_zero(b.state_mask)) return false;
    const std::uint32_t largest = b.state_mask >> b.state_shift;
    if (std::max({b.state_user, b.state_guest, b.state_idle}) > largest)
        return false;
    return b.state_user != b.state_guest && b.state_user != b.state_idle &&
           b.state_guest != b.state_idle;
}

/// What one binding must satisfy by itself.
ipidefer_error check_fields(const ipi_defer_binding& b, std::uint32_t index,
                            ipidefer_fault* fault) noexcept
{
    constexpr std::uint64_t kWordAlign = sizeof(std::uint32_t);

    for (const std::uint8_t byte : b.reserved)
        if (byte != 0)
            return refuse(fault, IPIDEFER_E_RESERVED, index, byte, 0);
    if (b.word_gpa % kWordAlign != 0)
        return refuse(fault, IPIDEFER_E_ALIGNMENT, index, b.word_gpa,
                      kWordAlign);
    if (b.vector < IPI_DEFER_VECTOR_FIRST)
        return refuse(fault, IPIDEFER_E_VECTOR, index, b.vector,
                      IPI_DEFER_VECTOR_FIRST);
    if (b.vector > IPI_DEFER_VECTOR_LAST)
        return refuse(fault, IPIDEFER_E_VECTOR, index, b.vector,
                      IPI_DEFER_VECTOR_LAST);
    if (b.accept_mask == 0)
        return refuse(fault, IPIDEFER_E_ACCEPT_MASK, index, 0, 0);
    if ((b.accept_value & ~b.accept_mask) != 0)
        return refuse(fault, IPIDEFER_E_ACCEPT_VALUE, index, b.accept_value,
                      b.accept_mask);
    if (!std::has_single_bit(b.work_bit))
        return refuse(fault, IPIDEFER_E_WORK_BIT, index, b.work_bit, 0);
    if (!state_consistent(b))
        return refuse(fault, IPIDEFER_E_STATE, index, b.state_mask, 0);
    return IPIDEFER_OK;
}

/// What the binding must satisfy with regard to the others of its table.
ipidefer_error check_against(Bindings table, std::uint32_t work_bits,
                             std::uint32_t index,
                             ipidefer_fault* fault) noexcept
{
    const ipi_defer_binding& b = table[index];
    for (const ipi_defer_binding& earlier : table.first(index)) {
        if (earlier.vector == b.vector)
            return refuse(fault, IPIDEFER_E_DUPLICATE, index, b.vector, 0);
        if (earlier.word_gpa == b.word_gpa && earlier.work_bit == b.work_bit)
            return refuse(fault, IPIDEFER_E_DUPLICATE, index, b.work_bit, 0);
    }
    const std::uint32_t covered = (b.accept_mask | b.state_mask) & work_bits;
    if (covered != 0)
        return refuse(fault, IPIDEFER_E_OVERLAP, index, covered, 0);
    return IPIDEFER_OK;
}

}  // namespace

ipidefer_error decode_register(std::uint64_t value, ipidefer_registration& out,
                               ipidefer_fault* fault) noexcept
{
    if (value == 0) {
        out = {};
        return IPIDEFER_OK;
    }
    const std::uint64_t reserved = value & IPI_DEFER_REG_RESERVED;
    if (reserved != 0)
        return refuse(fault, IPIDEFER_E_REGISTER_RESERVED, 0, reserved,
                      IPI_DEFER_REG_RESERVED);
    if ((value & IPI_DEFER_REG_ENABLE) == 0)
        return refuse(fault, IPIDEFER_E_NOT_ENABLED, 0, value, 0);
    const auto count = static_cast<std::uint32_t>(
        (value & IPI_DEFER_REG_COUNT_MASK) >> IPI_DEFER_REG_COUNT_SHIFT);
    if (count == 0 || count > IPI_DEFER_MAX_BINDINGS)
        return refuse(fault, IPIDEFER_E_COUNT, 0, count,
                      IPI_DEFER_MAX_BINDINGS);
    out.table_gpa = value & IPI_DEFER_REG_GPA_MASK;
    out.count = count;
    out.table_bytes =
        count * static_cast<std::uint32_t>(sizeof(ipi_defer_binding));
    return IPIDEFER_OK;
}

ipidefer_error decode_table(const void* raw, std::size_t bytes,
                            std::uint32_t count, ipi_defer_binding* out,
                            ipidefer_fault* fault) noexcept
{
    if (count == 0 || count > IPI_DEFER_MAX_BINDINGS)
        return refuse(fault, IPIDEFER_E_COUNT, 0, count,
                      IPI_DEFER_MAX_BINDINGS);
    const std::size_t needed = count * sizeof(ipi_defer_binding);
    if (bytes < needed)
        return refuse(fault, IPIDEFER_E_TABLE_SIZE, 0, bytes, needed);

    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> copy;
    std::memcpy(copy.data(), raw, needed);
    const Bindings table = Bindings{copy}.first(count);

    std::uint32_t work_bits = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (const auto error = check_fields(table[i], i, fault)) return error;
        work_bits |= table[i].work_bit;
    }
    for (std::uint32_t i = 0; i < count; ++i)
        if (const auto error = check_against(table, work_bits, i, fault))
            return error;
    std::copy(table.begin(), table.end(), out);
    return IPIDEFER_OK;
}

}  // namespace ipidefer
