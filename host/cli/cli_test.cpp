// SPDX-License-Identifier: GPL-2.0-or-later
// The command line as a whole, ipidefer check, and what is written about them.

#include <fstream>
#include <regex>
#include <set>

#include "base/file.hpp"
#include "host/cli/cli_testing.hpp"

namespace ipidefer::cli {
namespace {

using namespace test;

/// It said only that a subcommand was required.
TEST_F(CliTest, MistypedCommandsAreNamed)
{
    for (const Arguments& arguments :
         {Arguments{"lsit"}, Arguments{"lab", "rnu"},
          Arguments{"bench", "x"}}) {
        const auto result = run(arguments);
        EXPECT_EQ(result.status, kCannotRun);
        EXPECT_NE(result.output.find(arguments.back()), std::string::npos)
            << result.output;
    }
}

TEST_F(CliTest, CheckHasALineForEachFinding)
{
    // What it finds here is this machine's; that segments can be there is ours.
    const auto result = run({"check"});
    EXPECT_EQ(result.status, kDone) << result.output;
    EXPECT_TRUE(result.output.starts_with("pass  segments"));
    const json findings = run_json({"check", "--json"});
    for (const json& finding : findings)
        EXPECT_EQ(finding["remedy"] == "",
                  finding["grade"] == "pass" || finding["grade"] == "skip");
    EXPECT_EQ(
        run_program(IPIDEFER, {"--shm-dir", "/nonexistent", "check"}).status,
        kDefect);
}

TEST_F(CliTest, CheckOfAGuestsConfigurationLooksAtNothingElse)
{
    const auto file = folder_.path() / "config";
    std::ofstream{file} << "CONFIG_X86_64=y\n";
    const auto result = run({"check", "--guest-config", file, "--json"});
    EXPECT_EQ(result.status, kDefect) << result.output;
    for (const json& finding : json::parse(result.output))
        EXPECT_TRUE(finding["name"].get<std::string>().starts_with("guest."));
    EXPECT_NE(run({"check", "--guest-config", file})
                  .output.find("fail  guest.nohz_full"),
              std::string::npos);
}

TEST_F(CliTest, CheckRefusesWhatIsNoConfiguration)
{
    const auto file = folder_.path() / "config";
    std::ofstream{file} << "<domain/>\n";
    EXPECT_EQ(run({"check", "--guest-config", file}).status, kCannotRun);
    EXPECT_EQ(run({"check", "--guest-config", "/nonexistent"}).status,
              kCannotRun);
    EXPECT_EQ(run({"check", "--guest-config", file, "--domain", "web1"}).status,
              kCannotRun);
}

std::set<std::string> long_options(const std::string& text)
{
    static const std::regex option{"--[a-z][a-z-]*"};
    return {std::sregex_token_iterator{text.begin(), text.end(), option},
            std::sregex_token_iterator{}};
}

TEST_F(CliTest, ManPageAndCompletionKnowEveryOption)
{
    const std::string man = read_whole(IPIDEFER_MAN_PAGE);
    const auto completion = long_options(read_whole(IPIDEFER_COMPLETION));
    // The lab's own are in docs/LAB.md.
    for (const std::string command :
         {"list", "stat", "top", "policy", "trace", "blame", "check", "domain",
          "bench kvm", ""}) {
        Arguments asked;
        std::istringstream words{command};
        for (std::string word; words >> word;) asked.push_back(word);
        asked.emplace_back("--help");
        const auto help = run(asked);
        EXPECT_EQ(help.status, kDone);
        const bool looks = !command.empty() && asked.size() == 2;
        EXPECT_EQ(help.output.find("Exit status:") != std::string::npos, looks)
            << command;
        const auto options = long_options(help.output);
        EXPECT_EQ(options.contains("--json"), !command.empty());
        for (const std::string& option : options) {
            EXPECT_TRUE(completion.contains(option)) << command << option;
            // Short forms stand for these in the man page.
            if (std::set<std::string>{"--help", "--delay", "--vm", "--event",
                                      "--filter", "--output"}
                    .contains(option) ||
                (option == "--isolated" && command == "top"))
                continue;
            EXPECT_NE(man.find("--" + option.substr(2)), std::string::npos)
                << command << ' ' << option;
        }
    }
}

}  // namespace
}  // namespace ipidefer::cli
