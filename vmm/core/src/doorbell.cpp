// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/doorbell.hpp"

#include <bit>
#include <cstring>

#include "vmm/core/src/fault.hpp"
#include "vmm/core/src/icr.hpp"

namespace ipidefer {
namespace {

constexpr std::uint32_t kBroadcast = 0xffff'ffff;
constexpr std::uint32_t kWordBits = 64;

ipidefer_error check_vector(std::uint32_t vector,
                            ipidefer_fault* fault) noexcept
{
    if (vector < IPI_DEFER_VECTOR_FIRST)
        return refuse(fault, IPIDEFER_E_BELL_VECTOR, 0, vector,
                      IPI_DEFER_VECTOR_FIRST);
    if (vector > IPI_DEFER_VECTOR_LAST)
        return refuse(fault, IPIDEFER_E_BELL_VECTOR, 0, vector,
                      IPI_DEFER_VECTOR_LAST);
    return IPIDEFER_OK;
}

/// The highest bit set; the mask is not empty.
std::uint32_t last_bit(
    const std::uint64_t (&mask)[IPI_DEFER_MULTI_WORDS]) noexcept
{
    std::uint32_t word = IPI_DEFER_MULTI_WORDS - 1;
    while (word > 0 && mask[word] == 0) --word;
    return word * kWordBits +
           static_cast<std::uint32_t>(std::bit_width(mask[word])) - 1;
}

}  // namespace

ipidefer_error decode_doorbell(std::uint64_t value, ipidefer_icr& out,
                               ipidefer_fault* fault) noexcept
{
    const auto low = static_cast<std::uint32_t>(value);
    if (const std::uint32_t bits = low & IPIDEFER_ICR_X2APIC_RESERVED;
        bits != 0)
        return refuse(fault, IPIDEFER_E_BELL_RESERVED, 0, bits, 0);
    const ipidefer_icr icr = decode_icr_x2apic(value);
    if (icr.delivery != IPIDEFER_FIXED || icr.level_trigger)
        return refuse(fault, IPIDEFER_E_DELIVERY, 0, value, 0);
    // Nobody has told the VMM of logical IDs, where the local APIC is not its.
    if (icr.logical) return refuse(fault, IPIDEFER_E_LOGICAL, 0, value, 0);
    if (const auto error = check_vector(icr.vector, fault);
        error != IPIDEFER_OK)
        return error;
    out = icr;
    return IPIDEFER_OK;
}

ipidefer_error check_multi_address(std::uint64_t value,
                                   ipidefer_fault* fault) noexcept
{
    if (value % IPI_DEFER_MULTI_BYTES != 0)
        return refuse(fault, IPIDEFER_E_MULTI_ALIGNMENT, 0, value,
                      IPI_DEFER_MULTI_BYTES);
    return IPIDEFER_OK;
}

ipidefer_error decode_multi(const void* raw, std::size_t bytes,
                            ipidefer_multi& out, ipidefer_fault* fault) noexcept
{
    ipi_defer_multi request;
    if (bytes < sizeof request)
        return refuse(fault, IPIDEFER_E_MULTI_SIZE, 0, bytes, sizeof request);
    std::memcpy(&request, raw, sizeof request);

    if (const auto error = check_vector(request.vector, fault);
        error != IPIDEFER_OK)
        return error;
    ipidefer_multi decoded{};
    decoded.vector = static_cast<std::uint8_t>(request.vector);
    decoded.base = request.base;
    decoded.empty = true;
    for (std::uint32_t i = 0; i < IPI_DEFER_MULTI_WORDS; ++i) {
        decoded.mask[i] = request.mask[i];
        if (request.mask[i] != 0) decoded.empty = false;
    }
    if (!decoded.empty) {
        decoded.last = last_bit(decoded.mask);
        // Nobody has the broadcast ID, and nothing lies above it.
        if (decoded.last >= kBroadcast - decoded.base)
            return refuse(fault, IPIDEFER_E_MULTI_ID, 0,
                          std::uint64_t{decoded.base} + decoded.last,
                          kBroadcast);
    }
    out = decoded;
    return IPIDEFER_OK;
}

bool names(const ipidefer_multi& multi, std::uint32_t apic_id) noexcept
{
    // Below the base it wraps around, to far above 447.
    const std::uint32_t n = apic_id - multi.base;
    if (multi.empty || n > multi.last) return false;
    return (multi.mask[n / kWordBits] >> n % kWordBits & 1) != 0;
}

}  // namespace ipidefer
