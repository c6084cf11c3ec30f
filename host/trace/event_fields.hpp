// SPDX-License-Identifier: GPL-2.0-or-later
// Event fields: what an event is made of, by the names that filters use. A
// field has one of four types, which decide what it can be compared with:
//
//   scalar   a number                          vector == 0xf5
//   CPU      the vCPU that caused the event    sender & CPUS{0-1}
//   cpumask  a set of vCPUs                    cpumask & CPUS{2-3}
//   string   a word                            verdict == delivered
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "host/segment/trace_reader.hpp"

namespace ipidefer::trace {

using segment::Event;

enum class FieldType { kScalar, kCpu, kCpumask, kString };

struct Field {
    std::string_view name;
    FieldType type;
    std::uint32_t kinds;  // OR of ipidefer_trace_kind: events that have it
    std::uint64_t (*number)(const Event&);   // scalar, CPU
    std::string_view (*text)(const Event&);  // string
};

/// All of them, in the order in which they are shown.
[[nodiscard]] std::span<const Field> fields() noexcept;

/// nullptr when there is no such field.
[[nodiscard]] const Field* find_field(std::string_view name) noexcept;

/// "ipi_send", "ipi_verdict"; "?" for anything else.
[[nodiscard]] std::string_view event_name(std::uint32_t kind) noexcept;
/// The kind of that name.
[[nodiscard]] std::optional<std::uint32_t> event_kind(
    std::string_view name) noexcept;

/// Is `cpu` in the mask?
[[nodiscard]] bool mask_has(const std::vector<std::uint64_t>& mask,
                            std::uint64_t cpu) noexcept;

}  // namespace ipidefer::trace
