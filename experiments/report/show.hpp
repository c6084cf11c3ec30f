// SPDX-License-Identifier: GPL-2.0-or-later
// `ipidefer lab show`: a report in another shape.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace ipidefer::report {

struct ShowOptions {
    std::string file;
    std::string as = "markdown";
    std::string output = "-";
    std::string mode;
    std::string workload;
};

void add_show_options(CLI::App& app, ShowOptions& options);

/// @return the exit status
/// @throws Failure for what cannot be read, shown or written
[[nodiscard]] int show(const ShowOptions& options);

}  // namespace ipidefer::report
