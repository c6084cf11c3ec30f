// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/vectors.hpp"

#include <ipidefer/ipi_defer.h>

#include <array>
#include <cstdio>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::terms {
namespace {

struct Named {
    std::string_view name;
    std::uint8_t vector;
};

constexpr std::array kNamed{Named{"sync_core", 0xf5},
                            Named{"kernel_tlbi", 0xea}};

}  // namespace

std::string vector_number(std::uint8_t vector)
{
    char text[8];
    std::snprintf(text, sizeof text, "0x%02x", vector);
    return text;
}

std::string vector_name(std::uint8_t vector)
{
    for (const Named& named : kNamed)
        if (named.vector == vector) return std::string{named.name};
    return vector_number(vector);
}

std::uint8_t parse_vector(std::string_view text)
{
    for (const Named& named : kNamed)
        if (named.name == text) return named.vector;
    const auto number = number_of<unsigned>(text, 0);
    if (!number || *number < IPI_DEFER_VECTOR_FIRST ||
        *number > IPI_DEFER_VECTOR_LAST)
        throw Failure{Exit::kCannotRun,
                      "vector '" + std::string{text} +
                          "' is none of sync_core, kernel_tlbi, 0x20 to 0xfe"};
    return static_cast<std::uint8_t>(*number);
}

}  // namespace ipidefer::terms
