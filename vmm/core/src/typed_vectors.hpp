// SPDX-License-Identifier: GPL-2.0-or-later
// Typed vectors: which vectors are bound somewhere in the VM, and the dense
// index under which each keeps its counters. An index stays with its vector
// until another vector needs it and no vCPU has bound this one: what a guest
// has bound once uses up nothing (I7). Holds the gate, which the VMM reads at
// the start of its handle.
//
// Not handled: two writers at once; the caller of ipidefer_bind() serialises.
#ifndef IPIDEFER_TYPED_VECTORS_HPP
#define IPIDEFER_TYPED_VECTORS_HPP

#include <ipidefer/ipidefer.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ipidefer {

class TypedVectors final {
  public:
    /// @param trace the policy's word of that name, for ipidefer_tracing()
    explicit TypedVectors(const std::uint32_t* trace) noexcept
        : gate_{{}, trace}
    {
    }

    /// Index of a vector that some vCPU has bound.
    [[nodiscard]] std::optional<unsigned> bound(
        std::uint8_t vector) const noexcept
    {
        // Ordering: ACQUIRE: a set bit shows the index too; pairs with the
        //   release in take().
        const auto gate =
            gate_.typed[vector / kBits].load(std::memory_order_acquire);
        if ((gate >> vector % kBits & 1) == 0) return std::nullopt;
        return known(vector);
    }

    /// Index of a vector that some vCPU has bound at some time, and that no
    /// other vector has needed since.
    [[nodiscard]] std::optional<unsigned> known(
        std::uint8_t vector) const noexcept
    {
        // Ordering: ACQUIRE: a counter reader that knows an index may use it;
        //   pairs with the release in reserve().
        const unsigned number = number_[vector].load(std::memory_order_acquire);
        if (number == 0) return std::nullopt;
        return number - 1;
    }

    /// How many indices were ever given out; they are the lowest ones.
    [[nodiscard]] unsigned used() const noexcept { return used_; }

    /// How many vectors would be bound if a vCPU bound `now` in place of
    /// `before`. Both name a vector once.
    [[nodiscard]] unsigned bound_after(
        std::span<const ipi_defer_binding> now,
        std::span<const ipi_defer_binding> before) const noexcept;

    struct Index {
        unsigned number;
        bool recycled;  ///< it was that of another vector, which has none now
    };
    /// Give a vector without an index one; fewer than IPIDEFER_MAX_TYPED
    /// vectors are bound.
    Index reserve(std::uint8_t vector) noexcept;

    /// One more vCPU has bound the vector, which has an index.
    void take(std::uint8_t vector) noexcept;
    /// One vCPU less has bound it.
    void drop(std::uint8_t vector) noexcept;

  private:
    static constexpr unsigned kBits = 64;
    static constexpr std::size_t kVectors = 256;

    // Read by ipidefer_typed() and ipidefer_tracing(), which know it as struct
    // ipidefer_gate.
    struct Gate {
        std::array<std::atomic<std::uint64_t>, kVectors / kBits> typed;
        const std::uint32_t* trace;
    } gate_;
    static_assert(sizeof(Gate) == sizeof(ipidefer_gate));
    static_assert(offsetof(Gate, trace) == offsetof(ipidefer_gate, trace));
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

    // Index plus one; 0: never bound.
    std::array<std::atomic<std::uint8_t>, kVectors> number_;
    std::array<std::uint16_t, kVectors> vcpus_{};
    static_assert(IPIDEFER_MAX_VCPUS <= UINT16_MAX);
    std::array<std::uint8_t, IPIDEFER_MAX_TYPED> vector_{};  // by index
    // When the last vCPU dropped it, in drops: the oldest goes first.
    std::array<std::uint64_t, IPIDEFER_MAX_TYPED> dropped_{};
    std::uint64_t drops_ = 0;
    unsigned used_ = 0;
};

}  // namespace ipidefer

#endif  // IPIDEFER_TYPED_VECTORS_HPP
