// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/xml.hpp"

#include "base/text.hpp"

namespace ipidefer {

std::string xml(const std::string& text)
{
    std::string safe;
    for (const char c : printable(text)) {
        switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            default:
                safe += c;
        }
    }
    return safe;
}

}  // namespace ipidefer
