// SPDX-License-Identifier: GPL-2.0-or-later
// The constraints of vmm/abi/ipi_defer.h on a binding table, read from its
// bytes and written as a list of what is violated: a second opinion for the
// property tests and the fuzzer. Shares no code with binding.cpp.
#ifndef IPIDEFER_TESTS_BINDING_ORACLE_HPP
#define IPIDEFER_TESTS_BINDING_ORACLE_HPP

#include <ipidefer/ipidefer.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ipidefer::test {

struct OracleBinding {
    std::uint64_t gpa = 0, mask = 0, value = 0, work = 0, state = 0;
    unsigned shift = 0, vector = 0, user = 0, guest = 0, idle = 0;
    unsigned reserved = 0;
};

inline std::uint64_t little_endian(const std::uint8_t* p, unsigned bytes)
{
    std::uint64_t v = 0;
    while (bytes-- > 0) v = v * 256 + p[bytes];
    return v;
}

inline OracleBinding oracle_parse(const std::uint8_t* p)
{
    OracleBinding b;
    b.gpa = little_endian(p, 8);
    b.mask = little_endian(p + 8, 4);
    b.value = little_endian(p + 12, 4);
    b.work = little_endian(p + 16, 4);
    b.state = little_endian(p + 20, 4);
    b.shift = p[24];
    b.vector = p[25];
    b.user = p[26];
    b.guest = p[27];
    b.idle = p[28];
    b.reserved = p[29] + p[30] + p[31];
    return b;
}

/// Bit numbers, lowest first.
inline std::vector<unsigned> oracle_bits(std::uint64_t v)
{
    std::vector<unsigned> bits;
    for (unsigned i = 0; v != 0; ++i, v /= 2)
        if (v % 2 == 1) bits.push_back(i);
    return bits;
}

inline bool oracle_state_ok(const OracleBinding& b)
{
    const auto bits = oracle_bits(b.state);
    if (bits.empty()) return b.shift + b.user + b.guest + b.idle == 0;
    if (bits.back() - bits.front() + 1 != bits.size()) return false;
    if (b.shift != bits.front()) return false;
    const std::uint64_t values = std::uint64_t{1} << bits.size();
    return std::set{b.user, b.guest, b.idle}.size() == 3 && b.user < values &&
           b.guest < values && b.idle < values;
}

/// Every error that would be a true answer; empty: the table is valid.
inline std::set<ipidefer_error> oracle_violations(const std::uint8_t* raw,
                                                  unsigned count)
{
    std::set<ipidefer_error> bad;
    std::set<unsigned> vectors, work_bits;
    std::set<std::string> places;
    std::vector<OracleBinding> table;
    for (unsigned i = 0; i < count; ++i)
        table.push_back(oracle_parse(raw + 32 * i));
    for (const OracleBinding& b : table)
        for (const unsigned bit : oracle_bits(b.work)) work_bits.insert(bit);

    for (const OracleBinding& b : table) {
        if (b.reserved != 0) bad.insert(IPIDEFER_E_RESERVED);
        if (b.gpa % 4 != 0) bad.insert(IPIDEFER_E_ALIGNMENT);
        if (b.vector < 32 || b.vector == 255) bad.insert(IPIDEFER_E_VECTOR);
        if (b.mask == 0) bad.insert(IPIDEFER_E_ACCEPT_MASK);
        if ((b.mask | b.value) != b.mask) bad.insert(IPIDEFER_E_ACCEPT_VALUE);
        if (oracle_bits(b.work).size() != 1) bad.insert(IPIDEFER_E_WORK_BIT);
        if (!oracle_state_ok(b)) bad.insert(IPIDEFER_E_STATE);
        for (const std::uint64_t looked_at : {b.mask, b.state})
            for (const unsigned bit : oracle_bits(looked_at))
                if (work_bits.count(bit) != 0) bad.insert(IPIDEFER_E_OVERLAP);
        const bool fresh_vector = vectors.insert(b.vector).second;
        const bool fresh_place =
            places.insert(std::to_string(b.gpa) + "/" + std::to_string(b.work))
                .second;
        if (!fresh_vector || !fresh_place) bad.insert(IPIDEFER_E_DUPLICATE);
    }
    return bad;
}

}  // namespace ipidefer::test

#endif  // IPIDEFER_TESTS_BINDING_ORACLE_HPP
