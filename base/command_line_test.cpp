// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/command_line.hpp"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/failure_testing.hpp"

namespace ipidefer {
namespace {

/// What a program says of these arguments, that has one command, with an
/// option that it must be given.
std::string refused(std::vector<std::string> arguments)
{
    CLI::App app{"test"};
    app.require_subcommand(1);
    unsigned number = 0;
    app.add_subcommand("run", "runs")
        ->add_option("--number", number, "a number")
        ->required();
    arguments.insert(arguments.begin(), "test");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    return refusal_of([&] {
        return parse_command_line(app, static_cast<int>(argv.size()),
                                  argv.data());
    });
}

TEST(CommandLine, ThatIsRight)
{
    EXPECT_EQ(refused({"run", "--number", "5"}), "");
}

TEST(CommandLine, HelpIsNoRefusal)
{
    testing::internal::CaptureStdout();
    EXPECT_EQ(refused({"run", "--help"}), "");
    EXPECT_NE(testing::internal::GetCapturedStdout().find("--number"),
              std::string::npos);
}

TEST(CommandLine, CommandThatThereIsNot)
{
    EXPECT_EQ(refused({"walk"}), "'walk' is no command here, see --help");
}

TEST(CommandLine, WhatIsWrongIsNamed)
{
    EXPECT_EQ(refused({"run"}), "--number is required, see --help");
    EXPECT_EQ(refused({"run", "--number", "x"}),
              "Could not convert: --number = x, see --help");
    EXPECT_EQ(refused({"run", "--number", "5", "--wrong\n"}),
              "The following argument was not expected: --wrong\\x0a, "
              "see --help");
}

int status_of(const std::function<int()>& run, std::string& said)
{
    testing::internal::CaptureStderr();
    const int status = main_of("test", run);
    said = testing::internal::GetCapturedStderr();
    return status;
}

TEST(Main, SaysWhatWasThrownBehindItsName)
{
    std::string said;
    EXPECT_EQ(status_of([] { return 5; }, said), 5);
    EXPECT_EQ(said, "");
    EXPECT_EQ(status_of(
                  []() -> int {
                      throw Failure{Exit::kNotPossible, "no KVM", "a line\n"};
                  },
                  said),
              77);
    EXPECT_EQ(said, "test: no KVM\na line\n");
    EXPECT_EQ(status_of([]() -> int { throw std::runtime_error{"odd"}; }, said),
              1);
    EXPECT_EQ(said, "test: odd\n");
}

TEST(Main, OutputThatIsLostIsAFailure)
{
    std::string said;
    std::cout.setstate(std::ios::badbit);
    EXPECT_EQ(status_of([] { return 0; }, said), 1);
    std::cout.clear();
    EXPECT_EQ(said, "test: cannot write standard output\n");
}

}  // namespace
}  // namespace ipidefer
