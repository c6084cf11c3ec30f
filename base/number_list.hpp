// SPDX-License-Identifier: GPL-2.0-or-later
// Lists of numbers as on the command line: "2-3,5". Order and repetitions are
// kept, since --pin gives them a meaning.
#pragma once

#include <string_view>
#include <vector>

namespace ipidefer {

/// Numbers in `text`, all of them within `least` and `most`; none for an empty
/// text. Throws a Failure that names `option`, what is wrong, and the limit.
[[nodiscard]] std::vector<unsigned> parse_number_list(std::string_view option,
                                                      std::string_view text,
                                                      unsigned least,
                                                      unsigned most);

}  // namespace ipidefer
