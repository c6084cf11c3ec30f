// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/repeat.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/failure.hpp"

namespace ipidefer::lab::agent {

int repeat(const Repeated& work, std::uint64_t count)
{
    for (std::uint64_t i = 0; i < count; ++i) {
        const int error = work.once(i);
        if (error == 0) continue;
        if (i == 0 && std::ranges::count(work.lacking, error) != 0) {
            std::printf("this kernel has no %s\n", work.lacks);
            return static_cast<int>(Exit::kNotPossible);
        }
        std::fprintf(stderr, "%s: %s\n", work.name(i).c_str(),
                     std::strerror(error));
        return static_cast<int>(Exit::kCannotRun);
    }
    return static_cast<int>(Exit::kDone);
}

}  // namespace ipidefer::lab::agent
