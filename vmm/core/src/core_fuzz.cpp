// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that a guest feeds us, as a guest would (I7): a register value, a
// table, an ICR value, destinations, doorbells; then decisions on what was
// accepted. Input: 8 bytes register value, 8 bytes ICR, 16 bytes of APIC, the
// table, which is the multicast request too. The first and the table are the
// difference from a valid one, so that the fuzzer starts behind the
// validation, not in front of it.
#include <ipidefer/ipidefer.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "vmm/core/tests/binding_oracle.hpp"
#include "vmm/core/tests/guest_layout.hpp"

namespace {

void require(bool condition)
{
    if (!condition) std::abort();
}

template <class T>
T take(const std::uint8_t*& data, std::size_t& size)
{
    T value{};
    const std::size_t n = std::min(size, sizeof value);
    std::memcpy(&value, data, n);
    data += n;
    size -= n;
    return value;
}

void icr(std::uint64_t value, const ipidefer_apic& apic)
{
    for (const ipidefer_icr& icr :
         {ipidefer_icr_x2apic(value),
          ipidefer_icr_xapic(static_cast<std::uint32_t>(value),
                             static_cast<std::uint32_t>(value >> 32))}) {
        require(!icr.deferrable ||
                (icr.legal && icr.delivery == IPIDEFER_FIXED &&
                 !icr.level_trigger && icr.vector >= 16));
        const bool self = ipidefer_icr_names(&icr, &apic, true);
        const bool other = ipidefer_icr_names(&icr, &apic, false);
        require(apic.enabled || (!self && !other));
        require(icr.shorthand != IPIDEFER_NO_SHORTHAND || self == other);
    }
}

void doorbell(std::uint64_t value)
{
    ipidefer_icr icr{};
    if (ipidefer_doorbell_decode(value, &icr, nullptr) == IPIDEFER_OK)
        require(icr.deferrable && !icr.logical && icr.vector >= 0x20 &&
                icr.vector <= 0xfe && icr.dest == value >> 32);
}

/// @param id of some APIC
void multi(const std::uint8_t* data, std::size_t size, std::uint32_t id)
{
    ipi_defer_multi request{};
    request.vector = 0xf5;
    std::array<std::uint8_t, sizeof request> raw{};
    std::memcpy(raw.data(), &request, raw.size());
    for (std::size_t i = 0; i < std::min(size, raw.size()); ++i)
        raw[i] ^= data[i];
    std::memcpy(&request, raw.data(), raw.size());

    ipidefer_multi out{};
    if (ipidefer_multi_decode(raw.data(), raw.size(), &out, nullptr) !=
        IPIDEFER_OK)
        return;
    require(out.vector == request.vector && out.last < 448);
    unsigned named = 0;
    for (std::uint32_t n = 0; n < 448; ++n) {
        const bool bit = (request.mask[n / 64] >> n % 64 & 1) != 0;
        const bool is_named = ipidefer_multi_names(&out, request.base + n);
        require(bit == is_named);
        // No ID that wraps around, nor the broadcast.
        require(!bit || std::uint64_t{request.base} + n < 0xffff'ffff);
        named += is_named ? 1 : 0;
    }
    require(out.empty == (named == 0));
    const std::uint64_t n = std::uint64_t{id} - request.base;
    require(n < 448 || !ipidefer_multi_names(&out, id));
}

constexpr std::uint64_t kValidRegister =
    0x1000 | IPI_DEFER_MAX_BINDINGS << IPI_DEFER_REG_COUNT_SHIFT |
    IPI_DEFER_REG_ENABLE;

std::array<std::uint8_t, IPI_DEFER_TABLE_BYTES> valid_table()
{
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> table{};
    for (unsigned i = 0; i < table.size(); ++i)
        table[i] =
            ipidefer::test::make_binding(static_cast<std::uint8_t>(0xe0 + i),
                                         ipidefer::test::kFirstWork << i);
    std::array<std::uint8_t, IPI_DEFER_TABLE_BYTES> raw{};
    std::memcpy(raw.data(), table.data(), raw.size());
    return raw;
}

void table(const std::uint8_t* data, std::size_t size, std::uint32_t count)
{
    auto raw = valid_table();
    for (std::size_t i = 0; i < std::min(size, raw.size()); ++i)
        raw[i] ^= data[i];
    std::array<ipi_defer_binding, IPI_DEFER_MAX_BINDINGS> bindings{};
    ipidefer_fault fault{};
    const auto error = ipidefer_table_decode(raw.data(), raw.size(), count,
                                             bindings.data(), &fault);
    const auto violated = ipidefer::test::oracle_violations(raw.data(), count);
    if (error != IPIDEFER_OK) {
        require(violated.count(error) == 1 && fault.error == error);
        char text[16];
        ipidefer_fault_text(&fault, text, sizeof text);
        require(std::strlen(text) < sizeof text);
        return;
    }
    require(violated.empty());

    const auto vm = ipidefer::test::make_vm(1);
    std::array<std::uint32_t, IPI_DEFER_MAX_BINDINGS> words{};
    std::array<std::uint32_t*, IPI_DEFER_MAX_BINDINGS> pointers{};
    for (std::uint32_t i = 0; i < count; ++i) {
        words[i] = bindings[i].accept_value;
        pointers[i] = &words[i];
    }
    require(ipidefer_set_isolated(vm.get(), 0, true) == IPIDEFER_OK);
    ipidefer_set_contexts(vm.get(), IPIDEFER_CONTEXTS_ALL);
    require(ipidefer_bind(vm.get(), 0, bindings.data(), pointers.data(), count,
                          &fault) == IPIDEFER_OK);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t before = words[i];
        require(ipidefer_decide(vm.get(), 0, bindings[i].vector) ==
                IPIDEFER_DEFERRED);
        require(words[i] == (before | bindings[i].work_bit));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    const auto value = kValidRegister ^ take<std::uint64_t>(data, size);
    const auto icr_value = take<std::uint64_t>(data, size);
    ipidefer_apic apic{};
    apic.id = take<std::uint32_t>(data, size);
    apic.ldr = take<std::uint32_t>(data, size);
    apic.dfr = take<std::uint32_t>(data, size);
    const auto flags = take<std::uint32_t>(data, size);
    apic.x2apic = (flags & 1) != 0;
    apic.enabled = (flags & 2) != 0;
    icr(icr_value, apic);
    doorbell(icr_value);
    multi(data, size, apic.id);

    ipidefer_registration registration{};
    if (ipidefer_register_decode(value, &registration, nullptr) != IPIDEFER_OK)
        return 0;
    require(registration.table_gpa % IPI_DEFER_TABLE_BYTES == 0);
    require(registration.table_bytes <= IPI_DEFER_TABLE_BYTES);
    if (registration.count != 0) table(data, size, registration.count);
    return 0;
}
