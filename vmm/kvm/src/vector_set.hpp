// SPDX-License-Identifier: GPL-2.0-or-later
// A set of interrupt vectors, in the layout of IRR, ISR and TMR: 256 bits as
// eight 32-bit registers. SDM vol. 3A 11.8.4.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

namespace ipidefer::vmm {

class VectorSet {
  public:
    static constexpr unsigned kRegisters = 8;

    void add(std::uint8_t vector) noexcept { at(vector) |= bit(vector); }
    void remove(std::uint8_t vector) noexcept { at(vector) &= ~bit(vector); }
    [[nodiscard]] bool has(std::uint8_t vector) const noexcept
    {
        return (bits_[vector / 32u] & bit(vector)) != 0;
    }
    void add_register(unsigned index, std::uint32_t bits) noexcept
    {
        bits_[index] |= bits;
    }
    [[nodiscard]] std::uint32_t register_at(unsigned index) const noexcept
    {
        return bits_[index];
    }
    /// The highest vector, which is the one with the highest priority.
    [[nodiscard]] std::optional<std::uint8_t> highest() const noexcept
    {
        for (unsigned i = kRegisters; i-- > 0;)
            if (bits_[i] != 0)
                return static_cast<std::uint8_t>(
                    32 * i + 31 -
                    static_cast<unsigned>(std::countl_zero(bits_[i])));
        return std::nullopt;
    }
    void clear() noexcept { bits_.fill(0); }

  private:
    [[nodiscard]] static std::uint32_t bit(std::uint8_t vector) noexcept
    {
        return std::uint32_t{1} << (vector % 32u);
    }
    [[nodiscard]] std::uint32_t& at(std::uint8_t vector) noexcept
    {
        return bits_[vector / 32u];
    }

    std::array<std::uint32_t, kRegisters> bits_{};
};

}  // namespace ipidefer::vmm
