// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/terms/policy_text.hpp"

#include <gtest/gtest.h>

#include "base/failure_testing.hpp"

namespace ipidefer::terms {
namespace {

using namespace std::chrono_literals;

std::string refusal(const RawPolicy& raw)
{
    return refusal_of([&] { return check_policy(raw, 8); });
}

TEST(PolicyOptions, NothingGivenChangesNothing)
{
    EXPECT_TRUE(RawPolicy{}.empty());
    EXPECT_TRUE(check_policy({}, 8).empty());
}

TEST(PolicyOptions, EachOptionIsOneChange)
{
    RawPolicy raw;
    raw.isolated = "2-5,^3";
    raw.user = "on";
    raw.guest = "off";
    raw.vectors = {"sync_core=off", "0xf1=on"};
    raw.max_age = "10ms";
    raw.off = true;
    const auto change = check_policy(raw, 8);
    EXPECT_EQ(change.isolated, (CpuSet{2, 4, 5}));
    EXPECT_EQ(change.user, true);
    EXPECT_EQ(change.guest, false);
    EXPECT_FALSE(change.idle);
    EXPECT_EQ(change.vectors,
              (std::map<std::uint8_t, bool>{{0xf1, true}, {0xf5, false}}));
    EXPECT_EQ(change.max_age, 10ms);
    EXPECT_EQ(change.enabled, false);
}

TEST(PolicyOptions, NoneIsNoMaxAge)
{
    RawPolicy raw;
    raw.max_age = "none";
    EXPECT_EQ(check_policy(raw, 8).max_age, 0ns);
}

TEST(PolicyOptions, NoneIsolatesNobody)
{
    RawPolicy raw;
    raw.isolated = "none";
    EXPECT_EQ(check_policy(raw, 8).isolated, CpuSet{});
}

TEST(PolicyOptions, RefusalsNameTheOption)
{
    RawPolicy raw;
    raw.isolated = "8";
    EXPECT_EQ(refusal(raw),
              "isolated: CPU list '8': no CPU 8, the last one is 7");
    raw = {};
    raw.idle = "yes";
    EXPECT_EQ(refusal(raw), "idle: 'yes' is neither on nor off");
    raw = {};
    raw.vectors = {"sync_core"};
    EXPECT_EQ(refusal(raw),
              "vectors: 'sync_core' is not VECTOR=on or VECTOR=off");
    raw.vectors = {"x=on"};
    EXPECT_NE(refusal(raw), "");
    raw = {};
    raw.max_age = "10";
    EXPECT_EQ(refusal(raw),
              "max_age: duration '10': it lacks a unit: ns, us, ms, s, m or h");
    EXPECT_EQ(
        refusal_of([&] { return check_policy(raw, 8, Naming::kOptions); }),
        "--max-age: duration '10': it lacks a unit: ns, us, ms, s, m or "
        "h");
}

TEST(PolicyOptions, TextHasALineForEachField)
{
    Policy policy;
    policy.enabled = true;
    policy.isolated = {2, 3};
    policy.denied = {0xf5};
    policy.max_age = 10ms;
    EXPECT_EQ(to_text(policy),
              "enabled on\nisolated 2-3\nuser off\nguest off\nidle off\n"
              "max_age 10ms\nvector sync_core off\n");
}

}  // namespace
}  // namespace ipidefer::terms
