// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.hpp"

#include <gtest/gtest.h>

namespace ipidefer {
namespace {

TEST(Policy, StartsEnabledForUserAndGuestAndEveryVector)
{
    const Policy policy;
    EXPECT_TRUE(policy.enabled());
    EXPECT_EQ(policy.contexts(),
              std::uint32_t{IPIDEFER_CONTEXT_USER | IPIDEFER_CONTEXT_GUEST});
    for (unsigned v = 0; v < 256; ++v)
        EXPECT_TRUE(policy.vector_allowed(static_cast<std::uint8_t>(v)));
}

TEST(Policy, UnknownContextBitsAreDropped)
{
    Policy policy;
    policy.set_contexts(0xffff'fffc);
    EXPECT_EQ(policy.contexts(), std::uint32_t{IPIDEFER_CONTEXT_IDLE});
}

TEST(Policy, DeniedVectorLeavesTheOthersAllowed)
{
    Policy policy;
    policy.set_vector_allowed(0x80, false);
    for (unsigned v = 0; v < 256; ++v)
        EXPECT_EQ(policy.vector_allowed(static_cast<std::uint8_t>(v)),
                  v != 0x80);
    policy.set_vector_allowed(0x80, true);
    EXPECT_TRUE(policy.vector_allowed(0x80));
}

}  // namespace
}  // namespace ipidefer
