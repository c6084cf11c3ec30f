// SPDX-License-Identifier: GPL-2.0-or-later
// Lists of numbers as on the command line: "2-3,5". Order and repetitions are
// kept, since --pin gives them a meaning.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ipidefer {

/// Numbers in `text`, all of them within `least` and `most`; none for an empty
/// text. Throws a Failure that names `option`, what is wrong, and the limit.
[[nodiscard]] std::vector<unsigned> parse_number_list(std::string_view option,
                                                      std::string_view text,
                                                      unsigned least,
                                                      unsigned most);

/// May threads of a VM be on one host CPU?
enum class Sharing { kAllowed, kRefused };

/// Host CPUs, one for each of so many threads, in their order; none for an
/// empty text. Throws a Failure that names `option`, the value and the limit.
/// @param whose what the threads are, as in "vCPUs"
[[nodiscard]] std::vector<unsigned> parse_host_cpus(const std::string& option,
                                                    const std::string& text,
                                                    std::size_t count,
                                                    const std::string& whose,
                                                    Sharing sharing);

}  // namespace ipidefer
