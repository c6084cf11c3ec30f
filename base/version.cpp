// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/version.hpp"

#include "base/revision.hpp"

namespace ipidefer {

std::string_view built_from() noexcept { return kRevision; }

std::string version_text(std::string_view program)
{
    std::string text{program};
    text += ' ';
    text += kVersion;
    text += "\nbuilt from ";
    text += built_from();
    text += ", by ";
    text += kCompiler;
    return text;
}

}  // namespace ipidefer
