// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <ipidefer/shm.h>

#include <string>

namespace ipidefer::shm {
namespace {

std::string shown(const std::string& name)
{
    char text[IPIDEFER_SHM_SHOWN];
    return ipidefer_shm_show_name(name.c_str(), text);
}

std::string read(const std::string& text)
{
    char name[IPIDEFER_SEGMENT_NAME];
    return ipidefer_shm_read_name(text.c_str(), name) ? name : "(none)";
}

TEST(Show, TextIsKept)
{
    for (const char* name : {"web1", "a b \"c\" \\", "Gr\u00fc\u00dfe",
                             "\u4e2d\u6587", "\U0001f600", "~", "\u00a0x"})
        EXPECT_EQ(shown(name), name);
}

TEST(Show, WhatIsNotUtf8IsBytes)
{
    EXPECT_EQ(shown("b\xff"
                    "d"),
              "b%FFd");
    EXPECT_EQ(shown("\xc3"), "%C3");                       // cut off
    EXPECT_EQ(shown("\xe4\xb8x"), "%E4%B8x");              // cut off
    EXPECT_EQ(shown("\xc0\xaf"), "%C0%AF");                // not the shortest
    EXPECT_EQ(shown("\xe0\x80\xaf"), "%E0%80%AF");         // not the shortest
    EXPECT_EQ(shown("\xed\xa0\x80"), "%ED%A0%80");         // surrogate
    EXPECT_EQ(shown("\xf4\x90\x80\x80"), "%F4%90%80%80");  // above U+10FFFF
    EXPECT_EQ(shown("\x80"), "%80");
}

TEST(Show, WhatWouldFoolAReaderIsBytes)
{
    EXPECT_EQ(shown("a\nb\x1b[2J\x7f"), "a%0Ab%1B[2J%7F");
    EXPECT_EQ(shown("\u009b"
                    "1m"),
              "%C2%9B1m");  // CSI, in one character
    EXPECT_EQ(shown("a\u202e"
                    "b"),
              "a%E2%80%AEb");  // right to left
    EXPECT_EQ(shown("a\u200b"
                    "b"),
              "a%E2%80%8Bb");  // invisible
}

TEST(Show, PercentIsEscapedSoThatDifferentNamesLookDifferent)
{
    EXPECT_EQ(shown("100%"), "100%25");
    EXPECT_NE(shown("%FF"), shown("\xff"));
}

TEST(Show, EveryPairOfBytesIsReadBackAndIsUtf8)
{
    for (int high = 1; high < 256; ++high)
        for (int low = 1; low < 256; ++low) {
            const std::string name{static_cast<char>(high),
                                   static_cast<char>(low)};
            const std::string text = shown(name);
            EXPECT_EQ(read(text), name) << high << ' ' << low;
            EXPECT_EQ(shown(read(text)), text);
        }
}

TEST(Show, LongestNameFits)
{
    const std::string longest(IPIDEFER_SEGMENT_NAME - 1, '\xff');
    EXPECT_EQ(shown(longest).size(), IPIDEFER_SHM_SHOWN - 1);
    EXPECT_EQ(read(shown(longest)), longest);
    // More is no name of a VM: cut, and not read past.
    EXPECT_EQ(shown(longest + "x"), shown(longest));
    EXPECT_EQ(shown(std::string(126, 'n') + "\u00fc"), std::string(126, 'n'));
    EXPECT_EQ(read(std::string(IPIDEFER_SEGMENT_NAME, 'n')), "(none)");
}

TEST(Show, WhatIsNotShownSoIsNotRead)
{
    for (const char* text : {"", "%", "%4", "%4x", "%00", "%ff"})
        EXPECT_EQ(read(text), "(none)") << text;
}

}  // namespace
}  // namespace ipidefer::shm
