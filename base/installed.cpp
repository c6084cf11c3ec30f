// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/installed.hpp"

#include "base/failure.hpp"

namespace ipidefer {

namespace fs = std::filesystem;

fs::path installed(const std::string& name)
{
    // Below the prefix, wherever that is by now.
    const fs::path programs{IPIDEFER_BIN};
    const fs::path helpers{IPIDEFER_HELPERS};
    const fs::path own = fs::read_symlink("/proc/self/exe").parent_path();
    for (const fs::path& folder :
         {own, own / helpers.lexically_relative(programs),
          own / programs.lexically_relative(helpers)}) {
        std::error_code ignored;
        if (fs::path file = (folder / name).lexically_normal();
            fs::exists(file, ignored))
            return file;
    }
    throw Failure{Exit::kNotPossible,
                  name + " is not installed: it is neither beside " +
                      own.string() + "/ nor in " + helpers.string() +
                      " below the same prefix"};
}

}  // namespace ipidefer
