// SPDX-License-Identifier: GPL-2.0-or-later
// Filter: the language of the kernel's event filters, over our events.
//
//   expression := and { "||" and }
//   and        := term { "&&" term }
//   term       := { "!" } ( "(" expression ")" | comparison )
//   comparison := field operator value
//   operator   := "==" | "!=" | "<" | "<=" | ">" | ">=" | "&" | "~"
//   value      := number | CPUS{list} | word | "text" | 'text'
//
// The meaning is that of Linux 6.12 (Documentation/trace/events.rst):
//   - CPUS{} takes &, == and !=. Against a cpumask they are: intersects,
//   equals,
//     does not equal. Against a number or a CPU: "is in", and for a list of one
//     CPU that one is compared with; a longer list equals no number, so == is
//     never true, and != always, but for a number that is no CPU of the VM. So
//     with a list of none.
//     The list is one of Linux (cpulist.hpp), N being the VM's last vCPU.
//   - a number takes all but ~; & is true when any bit is in both. A CPU takes
//     no & with a number, which the kernel lets pass and never finds true.
//   - a string takes == and !=, and ~ with a pattern (glob.hpp).
// Beyond the kernel's, strings need no quotes.
//
// Not handled: .function, .ustring.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "host/trace/event_fields.hpp"

namespace ipidefer::trace {

/// What cannot be parsed, and where.
class FilterError : public std::runtime_error {
  public:
    FilterError(const std::string& what, std::size_t column)
        : std::runtime_error{what}, column_{column}
    {
    }
    /// From 0; one past the end when something is missing there.
    [[nodiscard]] std::size_t column() const noexcept { return column_; }
    /// The filter with a caret under the column; what() says why.
    [[nodiscard]] std::string show(std::string_view filter) const;

  private:
    std::size_t column_;
};

class Filter final {
  public:
    /// Bytes; longer ones are nobody's intent.
    static constexpr std::size_t kLongest = 64 * 1024;

    /// @param vcpus of the VM, at least 1: a CPU list names none from there on
    /// Throws FilterError.
    Filter(std::string_view text, std::uint32_t vcpus);
    ~Filter();
    Filter(Filter&&) noexcept;
    Filter& operator=(Filter&&) noexcept;

    [[nodiscard]] bool matches(const Event& event) const;

    /// Kinds of event that have every field that is named: OR of
    /// ipidefer_trace_kind, 0 if there is none.
    [[nodiscard]] std::uint32_t kinds() const noexcept { return kinds_; }

    struct Node;

  private:
    std::unique_ptr<const Node> root_;
    std::uint32_t kinds_;
};

}  // namespace ipidefer::trace
