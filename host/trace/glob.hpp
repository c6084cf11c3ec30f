// SPDX-License-Identifier: GPL-2.0-or-later
// Glob: the patterns of ~ in the kernel's event filters, Linux 6.12. They are
// those of a shell, and not quite fnmatch(3)'s:
//
//   !PATTERN    at the beginning: what PATTERN does not match
//   * ?         any characters, one character
//   [a-z] [!a-z]  one character that is, or is not, in the set; a ] is in it
//               when it comes first; ^ is a character like others; a set that
//               is not closed is a [
//   \C          the character C
//
// A pattern that begins with a digit is compared as it is.
#pragma once

#include <string_view>

namespace ipidefer::trace {

/// Takes at most the product of both lengths.
[[nodiscard]] bool glob_matches(std::string_view pattern,
                                std::string_view text) noexcept;

}  // namespace ipidefer::trace
