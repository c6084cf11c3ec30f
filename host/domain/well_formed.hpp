// SPDX-License-Identifier: GPL-2.0-or-later
// Well-formed: whether a text is XML as libvirt's own parser, libxml2, takes
// it, within its limits: 256 elements inside each other, for example.
#pragma once

#include <cstddef>
#include <string>

namespace ipidefer::domain {

/// As much as virsh reads from a file.
inline constexpr std::size_t kMostXmlBytes = std::size_t{10} << 20;

/// Empty when `text` is XML of at most kMostXmlBytes bytes; otherwise what is
/// wrong, with the line. Nothing is loaded from elsewhere, entities are not
/// put in.
[[nodiscard]] std::string xml_fault(const std::string& text);

}  // namespace ipidefer::domain
