// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/version.hpp"

#include <gtest/gtest.h>

namespace ipidefer {
namespace {

TEST(Version, NamesProgramVersionAndSource)
{
    const std::string text = version_text("ipidefer-x");
    EXPECT_EQ(text.substr(0, text.find('\n')),
              std::string{"ipidefer-x "} + kVersion);
    EXPECT_NE(text.find("built from " + std::string{built_from()} + ", by "),
              std::string::npos)
        << text;
    EXPECT_FALSE(built_from().empty());
}

}  // namespace
}  // namespace ipidefer
