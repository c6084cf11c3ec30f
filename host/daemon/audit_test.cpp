// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/audit.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::daemon {
namespace {

namespace fs = std::filesystem;

class AuditTest : public ::testing::Test {
  protected:
    /// Changes, in the order of the file. Throws for a line that is not JSON.
    static std::vector<std::string> changes(const fs::path& file)
    {
        std::vector<std::string> all;
        std::ifstream in{file};
        for (std::string line; std::getline(in, line);)
            all.push_back(nlohmann::json::parse(line)["changes"][0]);
        return all;
    }
    using Changes = std::vector<std::string>;

    shm::test::TemporaryFolder folder_;
    const fs::path log_ = folder_.path() / "log";
    const fs::path moved_ = folder_.path() / "log.1";
};

TEST_F(AuditTest, EntriesThatCannotBeWrittenAreKeptAndComeLaterInOrder)
{
    fs::create_symlink("/dev/full", log_);
    Audit audit{log_};
    audit.policy("vm", "x", {"one"});
    audit.policy("vm", "x", {"two"});
    EXPECT_EQ(audit.kept(), 2u);
    fs::remove(log_);
    audit.reopen();
    audit.policy("vm", "x", {"three"});
    EXPECT_EQ(changes(log_), (Changes{"one", "two", "three"}));
    EXPECT_EQ(audit.kept(), 0u);
    EXPECT_EQ(audit.lost(), 0u);
}

TEST_F(AuditTest, LineThatWasPartlyWrittenIsFinished)
{
    Audit audit{log_};
    audit.policy("vm", "x", {"one"});
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    ASSERT_NE(std::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    rlimit little = before;
    little.rlim_cur = fs::file_size(log_) + 10;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
    audit.policy("vm", "x", {"two"});
    const auto full = fs::file_size(log_);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(full, little.rlim_cur);
    EXPECT_EQ(audit.kept(), 1u);
    audit.flush();
    EXPECT_EQ(changes(log_), (Changes{"one", "two"}));
}

TEST_F(AuditTest, FileThatWasMovedAwayIsMadeAnew)
{
    Audit audit{log_};
    audit.policy("vm", "x", {"one"});
    fs::rename(log_, moved_);
    audit.policy("vm", "x", {"two"});
    audit.reopen();
    audit.policy("vm", "x", {"three"});
    EXPECT_EQ(changes(moved_), (Changes{"one", "two"}));
    EXPECT_EQ(changes(log_), Changes{"three"});
}

TEST_F(AuditTest, FileThatCannotBeOpenedAnewIsTriedAgain)
{
    Audit audit{log_};
    fs::remove(log_);
    fs::create_directory(log_);
    audit.reopen();
    audit.policy("vm", "x", {"one"});
    EXPECT_EQ(audit.kept(), 1u);
    fs::remove(log_);
    audit.flush();
    EXPECT_EQ(changes(log_), Changes{"one"});
}

TEST_F(AuditTest, WhatIsTooMuchToKeepIsCounted)
{
    fs::create_symlink("/dev/full", log_);
    Audit audit{log_};
    for (std::size_t i = 0; i < Audit::kMostKept + 3; ++i)
        audit.policy("vm", "x", {std::to_string(i)});
    EXPECT_EQ(audit.kept(), Audit::kMostKept);
    EXPECT_EQ(audit.lost(), 3u);
}

// As after the journal was away for a moment.
TEST_F(AuditTest, StandardErrorThatFailedOnceIsTriedAgain)
{
    testing::internal::CaptureStderr();
    std::cerr.setstate(std::ios::badbit);
    Audit audit{{}};
    audit.policy("vm", "x", {"one"});
    std::cerr.setstate(std::ios::badbit);
    Audit::note("two");
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("\"one\""), std::string::npos) << said;
    EXPECT_NE(said.find("ipideferd: two\n"), std::string::npos) << said;
}

TEST_F(AuditTest, FileThatCannotBeOpenedAtFirstIsAFailure)
{
    EXPECT_THROW(Audit{folder_.path()}, Failure);
}

}  // namespace
}  // namespace ipidefer::daemon
