// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/sequence.hpp"

#include <gtest/gtest.h>

namespace ipidefer::segment {
namespace {

TEST(Sequence, UndisturbedCopyIsWhole)
{
    std::uint64_t seq = 4;
    EXPECT_TRUE(copied_whole(seq, seq, [] {}));
}

TEST(Sequence, CopyDuringWhichAWriterCameIsTorn)
{
    std::uint64_t seq = 4;
    EXPECT_FALSE(copied_whole(seq, seq, [&seq] { seq = 5; }));
    EXPECT_FALSE(copied_whole(seq, seq, [&seq] { seq = 8; }));
}

}  // namespace
}  // namespace ipidefer::segment
