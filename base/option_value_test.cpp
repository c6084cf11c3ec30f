// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/option_value.hpp"

#include <gtest/gtest.h>

#include "base/failure_testing.hpp"
#include "base/scratch.hpp"

namespace ipidefer {
namespace {

TEST(OptionValue, SwitchIsOnOrOff)
{
    EXPECT_TRUE(parse_switch("--idle", "on"));
    EXPECT_FALSE(parse_switch("--idle", "off"));
    EXPECT_EQ(refusal_of([] { return parse_switch("--idle", "yes"); }),
              "--idle: 'yes' is neither on nor off");
}

TEST(OptionValue, MemoryIsWithinItsLimits)
{
    EXPECT_EQ(parse_memory("--mem", "64M", 64, 2048), 64u);
    EXPECT_EQ(parse_memory("--mem", "2G", 64, 2048), 2048u);
    const auto refused = [](const std::string& text) {
        return refusal_of(
            [&] { return parse_memory("--mem", text, 64, 2048); });
    };
    EXPECT_EQ(refused("63M"), "--mem: '63M' is not within 64M and 2G");
    EXPECT_EQ(refused("3G"), "--mem: '3G' is not within 64M and 2G");
    // It would be small if it were multiplied first.
    EXPECT_EQ(refused("18014398509481984G"),
              "--mem: '18014398509481984G' is not within 64M and 2G");
    for (const char* text : {"64", "", "M", "-1M", "1.5G", "64m"})
        EXPECT_NE(refused(text).find("is not a number of megabytes"),
                  std::string::npos)
            << text;
}

TEST(OptionValue, FileToWriteHasAFolder)
{
    const Scratch scratch;
    const std::string folder = scratch.path().string();
    for (const std::string& good : {std::string{}, std::string{"-"},
                                    std::string{"/dev/full"}, folder + "/new"})
        EXPECT_NO_THROW(check_output("--json", good)) << good;
    const auto refused = [](const std::string& file) {
        return refusal_of([&] { check_output("--json", file); });
    };
    EXPECT_EQ(refused("/nope/x"),
              "--json: '/nope/x' cannot be written: there is no folder "
              "'/nope'");
    EXPECT_EQ(refused(folder),
              "--json: '" + folder + "' cannot be written: it is a folder");
}

TEST(OptionValue, FailuresGetTheOptionsName)
{
    EXPECT_EQ(refusal_of([] {
                  return named_option("--age", []() -> int {
                      throw Failure{Exit::kCannotRun, "too old"};
                  });
              }),
              "--age: too old");
}

}  // namespace
}  // namespace ipidefer
