// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/core/src/policy.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace ipidefer {
namespace {

class PolicyTest : public ::testing::Test {
  protected:
    ipidefer_segment_policy words_{};
    Policy policy_{&words_};
};

TEST_F(PolicyTest, StartsEnabledForUserAndGuestAndEveryVector)
{
    EXPECT_TRUE(policy_.enabled());
    EXPECT_EQ(policy_.contexts(),
              std::uint32_t{IPIDEFER_CONTEXT_USER | IPIDEFER_CONTEXT_GUEST});
    for (unsigned v = 0; v < 256; ++v)
        EXPECT_TRUE(policy_.vector_allowed(static_cast<std::uint8_t>(v)));
    for (unsigned v = 0; v < IPIDEFER_MAX_VCPUS; ++v)
        EXPECT_FALSE(policy_.isolated(v));
    EXPECT_EQ(policy_.max_age(), 0u);
    EXPECT_EQ(policy_.trace(), 0u);
}

TEST_F(PolicyTest, UnknownContextBitsAreDropped)
{
    policy_.set_contexts(0xffff'fffc);
    EXPECT_EQ(policy_.contexts(), std::uint32_t{IPIDEFER_CONTEXT_IDLE});
}

TEST_F(PolicyTest, DeniedVectorLeavesTheOthersAllowed)
{
    policy_.set_vector_allowed(0x80, false);
    for (unsigned v = 0; v < 256; ++v)
        EXPECT_EQ(policy_.vector_allowed(static_cast<std::uint8_t>(v)),
                  v != 0x80);
    policy_.set_vector_allowed(0x80, true);
    EXPECT_TRUE(policy_.vector_allowed(0x80));
}

TEST_F(PolicyTest, IsolatedVcpuLeavesTheOthersAlone)
{
    policy_.set_isolated(4'095, true);
    for (unsigned v = 0; v < IPIDEFER_MAX_VCPUS; ++v)
        EXPECT_EQ(policy_.isolated(v), v == 4'095);
}

// I7: another process may write anything.
TEST_F(PolicyTest, EveryValueOfTheWordsIsReadThroughItsMask)
{
    std::memset(&words_, 0xff, sizeof words_);
    EXPECT_TRUE(policy_.enabled());
    EXPECT_EQ(policy_.contexts(), std::uint32_t{IPIDEFER_CONTEXTS_ALL});
    EXPECT_EQ(policy_.trace(), std::uint32_t{IPIDEFER_TRACE_ALL});
    EXPECT_FALSE(policy_.vector_allowed(0xff));
    words_.enabled = 0xffff'fffe;
    EXPECT_FALSE(policy_.enabled());
}

TEST_F(PolicyTest, ZeroedWordsDeliverEverything)
{
    words_ = {};
    EXPECT_FALSE(policy_.enabled());
    EXPECT_EQ(policy_.contexts(), 0u);
    EXPECT_FALSE(policy_.isolated(1));
}

}  // namespace
}  // namespace ipidefer
