// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/vectors.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"

namespace ipidefer::terms {
namespace {

TEST(Vectors, EveryBindableOneIsReadBack)
{
    for (unsigned v = 0x20; v <= 0xfe; ++v)
        EXPECT_EQ(parse_vector(vector_name(static_cast<std::uint8_t>(v))), v);
    EXPECT_EQ(vector_name(0xf5), "sync_core");
    EXPECT_EQ(parse_vector("245"), 0xf5);
}

TEST(Vectors, NonsenseIsRefused)
{
    for (const char* text : {"", "sync", "0x1f", "0xff", "256", "-1", "0xf5 "})
        EXPECT_THROW((void)parse_vector(text), Failure) << text;
}

}  // namespace
}  // namespace ipidefer::terms
