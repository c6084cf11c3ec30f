// SPDX-License-Identifier: GPL-2.0-or-later
#include "name.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace ipidefer::shm {
namespace {

std::string to_file(const std::string& name)
{
    FileName file;
    ipidefer_shm_error error{};
    if (!file_of_name(name.c_str(), file, &error)) return "";
    return file;
}

std::string to_name(const std::string& file)
{
    char name[IPIDEFER_SEGMENT_NAME];
    return ipidefer_shm_name_of_file(file.c_str(), name) ? name : "(none)";
}

TEST(Name, PlainOneIsKept)
{
    EXPECT_EQ(to_file("web-1.example_com"), "ipidefer.web-1.example_com");
}

TEST(Name, WhatIsSpecialIsEscaped)
{
    EXPECT_EQ(to_file("../a b%"), "ipidefer...%2Fa%20b%25");
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
    EXPECT_EQ(to_file(std::string(100, ' ')), "");  // as a file: 309 bytes
}

TEST(Name, OtherFilesHaveNone)
{
    for (const char* file : {"ipidefer", "ipidefer.", "sem.x", "ipidefer.a b",
                             "ipidefer.%", "ipidefer.%2", "ipidefer.%2f",
                             "ipidefer.%00", "ipidefer.%61", ".ipidefer-12-0"})
        EXPECT_EQ(to_name(file), "(none)") << file;
    EXPECT_EQ(to_name("ipidefer." + std::string(IPIDEFER_SEGMENT_NAME, 'n')),
              "(none)");
}

}  // namespace
}  // namespace ipidefer::shm
