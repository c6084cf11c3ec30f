// SPDX-License-Identifier: GPL-2.0-or-later
// Text that was said elsewhere, within XML or HTML.
#pragma once

#include <string>

namespace ipidefer {

/// As text or as an attribute in double quotes. XML 1.0 has no control
/// characters, so they are shown as printable() does.
[[nodiscard]] std::string xml(const std::string& text);

}  // namespace ipidefer
