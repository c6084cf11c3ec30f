// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/name.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace ipidefer::shm {
namespace {

constexpr std::uint32_t kTag = 0x12abc;

std::string to_file(const std::string& name)
{
    FileName file;
    ipidefer_shm_error error{};
    if (!file_of_name(name.c_str(), kTag, file, &error)) return "";
    return file;
}

std::string to_name(const std::string& file)
{
    char name[IPIDEFER_SEGMENT_NAME];
    return ipidefer_shm_name_of_file(file.c_str(), name) ? name : "(none)";
}

TEST(Name, PlainOneIsKept)
{
    EXPECT_EQ(to_file("web-1.example_com"),
              "ipidefer.web-1.example_com~00012abc");
}

TEST(Name, WhatIsSpecialIsEscaped)
{
    EXPECT_EQ(to_file("../a b%"), "ipidefer...%2Fa%20b%25~00012abc");
}

TEST(Name, EveryByteIsReadBack)
{
    for (int byte = 1; byte < 256; ++byte) {
        const std::string name{'x', static_cast<char>(byte)};
        EXPECT_EQ(to_name(to_file(name)), name) << byte;
    }
}

TEST(Name, LengthIsLimited)
{
    EXPECT_EQ(to_file(""), "");
    const std::string longest(IPIDEFER_SEGMENT_NAME - 1, 'n');
    EXPECT_EQ(to_name(to_file(longest)), longest);
    EXPECT_EQ(to_file(longest + "n"), "");
    EXPECT_NE(to_file(std::string(79, ' ')), "");
    EXPECT_EQ(to_file(std::string(80, ' ')), "");  // 240 bytes in a file name
}

TEST(Name, TagEndsIt)
{
    EXPECT_EQ(to_name(to_file("vm~00000001")), "vm~00000001");
    EXPECT_EQ(to_file("vm~00000001"), "ipidefer.vm%7E00000001~00012abc");
}

TEST(Name, OtherFilesHaveNone)
{
    for (const char* file :
         {"ipidefer", "ipidefer.", "sem.x", "ipidefer.vm", "ipidefer.a b",
          "ipidefer.%~00000000", "ipidefer.%2~00000000",
          "ipidefer.%2f~00000000", "ipidefer.%00~00000000",
          "ipidefer.%61~00000000", "ipidefer.~00000000", "ipidefer.vm~",
          "ipidefer.vm~0000000", "ipidefer.vm~000000000",
          "ipidefer.vm~0000000A", "ipidefer.vm~00000000x"})
        EXPECT_EQ(to_name(file), "(none)") << file;
    EXPECT_EQ(to_name("ipidefer." + std::string(IPIDEFER_SEGMENT_NAME, 'n') +
                      "~00000000"),
              "(none)");
}

TEST(Name, IdIsTheFileNameBehindThePrefix)
{
    FileName file;
    ipidefer_shm_error error{};
    EXPECT_TRUE(file_of_id("vm~00012abc", file, &error));
    EXPECT_EQ(std::string{file}, to_file("vm"));
    EXPECT_STREQ(id_of_file(file), "vm~00012abc");
    for (const char* id : {"", "vm", "../x~00012abc", "a/b~00012abc"}) {
        error = {};
        EXPECT_FALSE(file_of_id(id, file, &error)) << id;
        EXPECT_EQ(error.code, EINVAL);
    }
    EXPECT_FALSE(file_of_id(std::string(400, 'n').c_str(), file, &error));
}

}  // namespace
}  // namespace ipidefer::shm
