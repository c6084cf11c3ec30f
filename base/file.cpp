// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/file.hpp"

#include <fstream>
#include <sstream>
#include <utility>

#include "base/failure.hpp"
#include "base/option_value.hpp"

namespace ipidefer {

std::string read_whole(const std::filesystem::path& path)
{
    std::ifstream in{path, std::ios::binary};
    std::ostringstream text;
    // Of an empty file operator<< takes nothing, and says so by failing.
    if (in && in.peek() != std::ifstream::traits_type::eof())
        text << in.rdbuf();
    if (in.bad() || !in.is_open() || text.fail())
        throw Failure{Exit::kCannotRun, "cannot read " + path.string()};
    return std::move(text).str();
}

void write_whole(const std::filesystem::path& path, std::string_view text)
{
    std::ofstream out{path, std::ios::binary};
    out << text;
    if (!out.flush())
        throw system_failure("cannot write " + in_quotes(path.string()));
}

}  // namespace ipidefer
