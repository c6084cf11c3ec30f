// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/trace/glob.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ipidefer::trace {
namespace {

TEST(Glob, StarsAndQuestionMarks)
{
    for (const char* pattern :
         {"deferred", "def*", "*red", "*fer*", "*", "d*d", "d??erred",
          "*e*e*e*", "deferred*", "**deferred"})
        EXPECT_TRUE(glob_matches(pattern, "deferred")) << pattern;
    for (const char* pattern :
         {"", "defer", "*x*", "?", "deferred?", "d*e", "?deferred", "D*"})
        EXPECT_FALSE(glob_matches(pattern, "deferred")) << pattern;
    EXPECT_TRUE(glob_matches("", ""));
    EXPECT_TRUE(glob_matches("*", ""));
    EXPECT_FALSE(glob_matches("?", ""));
}

TEST(Glob, Sets)
{
    EXPECT_TRUE(glob_matches("[cd]*", "coalesced"));
    EXPECT_FALSE(glob_matches("[!cd]*", "coalesced"));
    EXPECT_TRUE(glob_matches("[!cd]*", "passed"));
    EXPECT_TRUE(glob_matches("[a-d]x", "bx"));
    EXPECT_FALSE(glob_matches("[a-d]x", "ex"));
    EXPECT_TRUE(glob_matches("[]]", "]"));
    EXPECT_TRUE(glob_matches("[!]]", "x"));
    EXPECT_TRUE(glob_matches("[a-]", "-"));
    EXPECT_TRUE(glob_matches("[x[]", "["));
}

// Where fnmatch(3) takes it for a "!".
TEST(Glob, CaretIsACharacterLikeOthers)
{
    EXPECT_TRUE(glob_matches("[^c]*", "coalesced"));
    EXPECT_TRUE(glob_matches("[^c]*", "^"));
    EXPECT_FALSE(glob_matches("[^c]*", "deferred"));
}

TEST(Glob, SetThatIsNotClosedIsABracket)
{
    EXPECT_TRUE(glob_matches("[ab", "[ab"));
    EXPECT_FALSE(glob_matches("[ab", "a"));
    EXPECT_TRUE(glob_matches("x[!", "x[!"));
    EXPECT_TRUE(glob_matches("[", "["));
}

TEST(Glob, BackslashMakesTheNextOnePlain)
{
    EXPECT_TRUE(glob_matches("\\*", "*"));
    EXPECT_FALSE(glob_matches("\\*", "x"));
    EXPECT_TRUE(glob_matches("\\[a]", "[a]"));
    EXPECT_FALSE(glob_matches("a\\", "a\\"));
}

TEST(Glob, ExclamationMarkAtTheBeginningNegates)
{
    EXPECT_FALSE(glob_matches("!def*", "deferred"));
    EXPECT_TRUE(glob_matches("!def*", "coalesced"));
    EXPECT_TRUE(glob_matches("!", "x"));
    EXPECT_TRUE(glob_matches("x!", "x!"));
}

TEST(Glob, DigitAtTheBeginningMakesAllPlain)
{
    EXPECT_TRUE(glob_matches("1*", "1*"));
    EXPECT_FALSE(glob_matches("1*", "12"));
    EXPECT_TRUE(glob_matches("!1*", "12"));
}

TEST(Glob, ManyStarsTakeNoTime)
{
    std::string pattern;
    for (int i = 0; i < 1000; ++i) pattern += "*a";
    EXPECT_FALSE(glob_matches(pattern + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace ipidefer::trace
