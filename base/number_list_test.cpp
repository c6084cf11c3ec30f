// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/number_list.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"

namespace ipidefer {
namespace {

using Numbers = std::vector<unsigned>;

TEST(NumberList, KeepsOrderAndRepetitions)
{
    EXPECT_EQ(parse_number_list("--pin", "3,0-1,3", 0, 9),
              (Numbers{3, 0, 1, 3}));
    EXPECT_TRUE(parse_number_list("--pin", "", 0, 9).empty());
}

TEST(NumberList, RefusesWhatIsNoList)
{
    for (const char* text :
         {",", "1,", "-1", "1-", "a", "2-1", "1 2", "99999999999", "10"})
        EXPECT_THROW((void)parse_number_list("--pin", text, 0, 9), Failure)
            << text;
}

TEST(HostCpus, AreOneForEachInOrder)
{
    EXPECT_EQ(parse_host_cpus("--pin", "3,0-1", 3, "vCPUs", Sharing::kRefused),
              (Numbers{3, 0, 1}));
    EXPECT_EQ(parse_host_cpus("--pin", "3,3", 2, "vCPUs", Sharing::kAllowed),
              (Numbers{3, 3}));
    EXPECT_TRUE(
        parse_host_cpus("--pin", "", 3, "vCPUs", Sharing::kRefused).empty());
}

TEST(HostCpus, RefusalsNameOptionValueAndLimit)
{
    const auto refusal = [](const std::string& text) {
        return refusal_of([&] {
            return parse_host_cpus("--pin", text, 2, "vCPUs",
                                   Sharing::kRefused);
        });
    };
    EXPECT_EQ(refusal("1"), "--pin: '1' names 1 host CPUs for 2 vCPUs");
    EXPECT_EQ(refusal("1-3"), "--pin: '1-3' names 3 host CPUs for 2 vCPUs");
    EXPECT_EQ(refusal("3,3"),
              "--pin: '3,3' names host CPU 3 twice: each of 2 vCPUs needs one "
              "of its own");
    EXPECT_EQ(refusal("3,1024"),
              "--pin '3,1024': '1024' is not within 0 and 1023");
}

}  // namespace
}  // namespace ipidefer
