// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/folder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <string>

#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::shm {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

class FolderTest : public ::testing::Test {
  protected:
    /// What a user did who was here first.
    void squat(const std::string& name)
    {
        fs::create_directory(parent_.path() / name);
        ASSERT_EQ(::chown((parent_.path() / name).c_str(), kNobody, kNobody),
                  0);
    }
    Fd own() { return folder_for_vmm(nullptr, parent_.c_str(), &error_); }
    std::set<std::string> found(ipidefer_shm_place place = {})
    {
        std::set<std::string> names;
        EXPECT_TRUE(each_folder(
            place, parent_.c_str(),
            [&names](const char* path, const Fd&) {
                names.insert(fs::path{path}.filename());
                return true;
            },
            &error_))
            << error_.text;
        return names;
    }

    const std::string plain_ = "ipidefer-" + std::to_string(::geteuid());
    test::TemporaryFolder parent_;
    ipidefer_shm_error error_{};
};

TEST_F(FolderTest, OwnOneIsMadeOnceAndIsNobodyElsesToWrite)
{
    const mode_t before = ::umask(0077);
    const Fd first = own();
    ::umask(before);
    ASSERT_TRUE(first.valid()) << error_.text;
    struct stat status {};
    ASSERT_EQ(::stat((parent_.path() / plain_).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0755u);
    const Fd second = own();
    ASSERT_TRUE(second.valid()) << error_.text;
    EXPECT_EQ(found(), std::set<std::string>{plain_});
}

TEST_F(FolderTest, AnotherUsersFolderIsInNobodysWay)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make another user's folder";
    squat(plain_);
    const Fd folder = own();
    ASSERT_TRUE(folder.valid()) << error_.text;
    const auto names = found();
    ASSERT_EQ(names.size(), 1u);
    EXPECT_TRUE(names.begin()->starts_with(plain_ + '.')) << *names.begin();
    // It is found again, and no third one is made.
    ASSERT_TRUE(own().valid()) << error_.text;
    EXPECT_EQ(found(), names);
}

TEST_F(FolderTest, WhatIsInTheWayMayBeAnything)
{
    fs::create_symlink("/", parent_.path() / plain_);
    const Fd folder = own();
    ASSERT_TRUE(folder.valid()) << error_.text;
    EXPECT_EQ(found().size(), 1u);
}

TEST_F(FolderTest, FolderThatOthersMayWriteIsNotUsed)
{
    fs::create_directory(parent_.path() / plain_);
    fs::permissions(parent_.path() / plain_, fs::perms{0777});
    const Fd folder = own();
    ASSERT_TRUE(folder.valid()) << error_.text;
    EXPECT_FALSE(found().contains(plain_));
}

TEST_F(FolderTest, OnlyTheOwnersFoldersAreLookedAt)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make another user's folder";
    ASSERT_TRUE(own().valid()) << error_.text;
    squat("ipidefer-65534");
    squat("ipidefer-0.0123abcd");  // says root, and is not
    squat("ipidefer-65533");       // says another one, and is not
    EXPECT_EQ(found(), std::set<std::string>{"ipidefer-0"});
    const uid_t owners[] = {kNobody, 65533};
    EXPECT_EQ(found({nullptr, owners, 2}),
              std::set<std::string>{"ipidefer-65534"});
}

TEST_F(FolderTest, NamesThatAreNotExactlyAUsersAreNobodys)
{
    const std::string user = std::to_string(::geteuid());
    for (const std::string name :
         {"ipidefer-", "ipidefer-x", "ipidefer-00", "ipidefer--1",
          "ipidefer-4294967296", "ipidefer"})
        fs::create_directory(parent_.path() / name);
    for (const char* end : {".", ".0123abc", ".0123abcdx", ".0123ABCD", "x"})
        fs::create_directory(parent_.path() / ("ipidefer-" + user + end));
    EXPECT_TRUE(found().empty());
}

TEST_F(FolderTest, GivenOneMustBeSafe)
{
    const fs::path given = parent_.path() / "given";
    fs::create_directory(given);
    const auto open = [&] {
        error_ = {};
        return folder_for_vmm(given.c_str(), parent_.c_str(), &error_).valid();
    };
    for (const unsigned mode : {0700u, 0755u, 01777u, 01770u}) {
        fs::permissions(given, fs::perms{mode});
        EXPECT_TRUE(open()) << mode << ' ' << error_.text;
    }
    for (const unsigned mode : {0770u, 0777u, 0702u}) {
        fs::permissions(given, fs::perms{mode});
        EXPECT_FALSE(open()) << mode;
        EXPECT_EQ(error_.code, EPERM);
    }
    EXPECT_EQ(error_.text, "the folder '" + given.string() +
                               "' has mode 0702: others could replace the "
                               "segments in it; make it sticky, or theirs no "
                               "longer (chmod go-w)");
}

TEST_F(FolderTest, GivenOneMustBeAnOwners)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make another user's folder";
    squat("given");
    const std::string given = parent_.path() / "given";
    EXPECT_FALSE(
        folder_for_vmm(given.c_str(), parent_.c_str(), &error_).valid());
    EXPECT_EQ(error_.code, EPERM);
    const auto look = [&](ipidefer_shm_place place) {
        place.directory = given.c_str();
        return each_folder(
            place, parent_.c_str(), [](const char*, const Fd&) { return true; },
            &error_);
    };
    EXPECT_FALSE(look({}));
    const uid_t owners[] = {kNobody};
    EXPECT_TRUE(look({nullptr, owners, 1}));
}

}  // namespace
}  // namespace ipidefer::shm
