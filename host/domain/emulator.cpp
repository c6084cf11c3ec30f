// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/emulator.hpp"

#include "base/text.hpp"

namespace ipidefer::domain {

Emulator read_object_help(int status, const std::string& output)
{
    Emulator emulator;
    emulator.runs = true;
    if (status != 0) {
        const auto lines = lines_of(output);
        if (!lines.empty()) emulator.complaint = printable(lines.front());
        return emulator;
    }
    // "ipi-defer options:", then "  enabled=<bool>  - ..." for each.
    for (const auto line : lines_of(output)) {
        const auto words = words_of(line);
        if (words.empty() || !line.starts_with(' ')) continue;
        const auto equals = words[0].find("=<");
        if (equals != std::string_view::npos)
            emulator.properties.emplace(words[0].substr(0, equals));
    }
    emulator.knows_object = emulator.properties.contains("isolated-cpus");
    if (!emulator.knows_object)
        emulator.complaint = "its help does not name isolated-cpus";
    return emulator;
}

}  // namespace ipidefer::domain
