// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/text.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace ipidefer {
namespace {

using Words = std::vector<std::string_view>;

TEST(Text, LastLineNeedsNoEnd)
{
    EXPECT_EQ(lines_of("a\n\nb"), (Words{"a", "", "b"}));
    EXPECT_EQ(lines_of("a\n"), (Words{"a"}));
    EXPECT_EQ(lines_of(""), Words{});
}

TEST(Text, WordsAreWhatBlanksLeave)
{
    EXPECT_EQ(words_of("  a\t b c "), (Words{"a", "b", "c"}));
    EXPECT_EQ(words_of("   "), Words{});
}

TEST(Text, TrimmedTakesBothEnds)
{
    EXPECT_EQ(trimmed(" a b \r"), "a b");
    EXPECT_EQ(trimmed(" "), "");
}

TEST(Text, NumberIsTheWholeText)
{
    EXPECT_EQ(number_of<unsigned>("12"), 12u);
    EXPECT_EQ(number_of<unsigned>("12x"), std::nullopt);
    EXPECT_EQ(number_of<unsigned>(""), std::nullopt);
    EXPECT_EQ(number_of<unsigned>("-1"), std::nullopt);
    EXPECT_EQ(number_of<std::uint8_t>("256"), std::nullopt);
}

TEST(Text, BaseZeroTakesHexadecimalByItsPrefix)
{
    EXPECT_EQ(number_of<unsigned>("0x1f", 0), 0x1fu);
    EXPECT_EQ(number_of<unsigned>("19", 0), 19u);
    EXPECT_EQ(number_of<unsigned>("0x", 0), std::nullopt);
}

TEST(Printable, ControlCharactersAreShownInHexadecimal)
{
    EXPECT_EQ(printable("a \x1b[2J\n\x7f"), "a \\x1b[2J\\x0a\\x7f");
    EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
}

}  // namespace
}  // namespace ipidefer
