// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/verdict_report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

using nlohmann::json;

json answer()
{
    return json::parse(R"({
      "id": "defer0", "enabled": true, "user": true, "guest": true,
      "idle": false, "cpus": [
        {"cpu-index": 0, "apic-id": 0, "isolated": false, "registered": false,
         "bindings": [], "counters": []},
        {"cpu-index": 2, "apic-id": 2, "isolated": true, "registered": true,
         "bindings": [{"vector": 245, "word-gpa": 66060288, "accept-mask": 66,
                       "accept-value": 2, "work-bit": 4, "state-mask": 3,
                       "word": 6}],
         "counters": [{"vector": 245, "deferred": 1, "coalesced": 2,
                       "delivered-in-kernel": 4, "delivered-not-isolated": 8,
                       "delivered-not-bound": 16, "delivered-policy": 32,
                       "delivered-bad-word": 64,
                       "delivered-contended": 128}]}]})");
}

TEST(VerdictReport, EveryMemberIsWhereItBelongs)
{
    const auto report = parse_ipi_defer(answer());
    EXPECT_FALSE(report.at(0).isolated);
    EXPECT_TRUE(report.at(2).isolated);
    const auto& binding = report.at(2).bindings.at(0);
    EXPECT_EQ(binding.vector, 245u);
    EXPECT_EQ(binding.accept_mask, 66u);
    EXPECT_EQ(binding.accept_value, 2u);
    EXPECT_EQ(binding.work_bit, 4u);
    const auto& verdicts = report.at(2).by_vector.at(245);
    EXPECT_EQ(verdicts[IPIDEFER_DELIVERED_BAD_WORD], 64u);
    // Powers of two: each one is in exactly one of the sums.
    EXPECT_EQ(verdicts.recorded(), 1u + 2u);
    EXPECT_EQ(verdicts.delivered(), 4u + 8u + 16u + 32u + 64u + 128u);
}

TEST(VerdictReport, IcrIsSeenUnlessItSaysOtherwise)
{
    auto said = answer();
    EXPECT_TRUE(sees_icr(said));
    said["icr"] = true;
    EXPECT_TRUE(sees_icr(said));
    said["icr"] = false;
    EXPECT_FALSE(sees_icr(said));
}

TEST(VerdictReport, MergedIsThereWhereTheVmmSeesThePendingVectors)
{
    json seen = answer();
    seen["cpus"][1]["counters"][0]["merged"] = 9;
    EXPECT_EQ(parse_ipi_defer(seen).at(2).merged.at(245), 9u);
    EXPECT_TRUE(parse_ipi_defer(answer()).at(2).merged.empty());
}

TEST(VerdictReport, AnswersWithoutAMemberAreRefused)
{
    for (const char* counter : {"coalesced", "delivered-contended"}) {
        json broken = answer();
        broken["cpus"][1]["counters"][0].erase(counter);
        EXPECT_THROW((void)parse_ipi_defer(broken), Failure) << counter;
    }
    EXPECT_THROW((void)parse_ipi_defer(json::object()), Failure);
}

TEST(VmmBinding, PendingNeedsTheBitInAWordThatAccepts)
{
    const VmmBinding binding{245, 0x42, 0x02, 0x04};
    EXPECT_TRUE(binding.pending(0x06));
    EXPECT_TRUE(binding.pending(0x07));   // a nested guest
    EXPECT_FALSE(binding.pending(0x02));  // no bit
    EXPECT_FALSE(binding.pending(0x46));  // RCU watches (I8)
    EXPECT_FALSE(binding.pending(0x04));  // in the kernel
}

}  // namespace
}  // namespace ipidefer::lab
