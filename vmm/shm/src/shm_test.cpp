// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <ipidefer/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "temporary_folder.hpp"

namespace ipidefer::shm {
namespace {

namespace fs = std::filesystem;

class ShmTest : public ::testing::Test {
  protected:
    ipidefer_shm_options options(const char* name = "vm")
    {
        ipidefer_shm_options o{};
        o.directory = folder_.c_str();
        o.name = name;
        o.producer = "test 1.0";
        o.vcpus = 2;
        o.ring_entries = 16;
        o.group = static_cast<gid_t>(-1);
        return o;
    }
    ipidefer_shm* create(const ipidefer_shm_options& o)
    {
        ipidefer_shm* shm = ipidefer_shm_create(&o, &error_);
        if (shm == nullptr || ipidefer_shm_publish(shm, &error_) == 0)
            return shm;
        ipidefer_shm_destroy(shm);
        return nullptr;
    }
    ipidefer_shm_map* open(const char* name = "vm", bool writable = false)
    {
        return ipidefer_shm_open(folder_.c_str(), name, writable, &error_);
    }
    static const ipidefer_segment& header(ipidefer_shm_map* map)
    {
        return *static_cast<const ipidefer_segment*>(ipidefer_shm_memory(map));
    }
    std::set<std::string> files()
    {
        std::set<std::string> names;
        for (const auto& entry : fs::directory_iterator{folder_.path()})
            names.insert(entry.path().filename());
        return names;
    }

    /// A VMM that creates the segment and dies without a word.
    void die_with_segment()
    {
        const auto o = options();
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) ::_exit(create(o) == nullptr ? 1 : 0);
        int status = 1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_EQ(status, 0);
    }

    test::TemporaryFolder folder_;
    ipidefer_shm_error error_{};
};

TEST_F(ShmTest, SegmentNamesItsOwnerAndTellsTheTime)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    ipidefer_shm_map* map = open();
    ASSERT_NE(map, nullptr) << error_.text;
    const ipidefer_segment& h = header(map);
    EXPECT_EQ(h.magic, IPIDEFER_SEGMENT_MAGIC);
    EXPECT_EQ(h.state, std::uint32_t{IPIDEFER_SEGMENT_LIVE});
    EXPECT_STREQ(h.name, "vm");
    EXPECT_STREQ(h.producer, "test 1.0");
    EXPECT_EQ(h.pid, static_cast<std::uint64_t>(::getpid()));
    EXPECT_EQ(ipidefer_shm_owner(h.pid, h.pid_start, h.pid_ns),
              IPIDEFER_SHM_RUNS);
    EXPECT_EQ(h.clock_seq, 2u);
    EXPECT_NE(h.clock.tsc, 0u);
    EXPECT_NE(h.tsc_hz, 0u);
    EXPECT_EQ(h.guest_tsc_known, 0u);
    ipidefer_shm_set_guest_tsc_offset(shm, -5);
    EXPECT_EQ(h.guest_tsc_offset, -5);
    EXPECT_EQ(h.guest_tsc_known, 1u);
    ipidefer_shm_close(map);
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, WhatIsFoundHasTheFirstPolicy)
{
    const auto o = options();
    ipidefer_shm* shm = ipidefer_shm_create(&o, &error_);
    ASSERT_NE(shm, nullptr) << error_.text;
    EXPECT_EQ(open(), nullptr);
    EXPECT_EQ(error_.code, ENOENT);
    ASSERT_EQ(ipidefer_set_isolated(ipidefer_shm_vm(shm), 1, true),
              IPIDEFER_OK);
    ASSERT_EQ(ipidefer_shm_publish(shm, &error_), 0) << error_.text;
    EXPECT_EQ(files(), std::set<std::string>{"ipidefer.vm"});
    ipidefer_shm_map* map = open();
    ASSERT_NE(map, nullptr) << error_.text;
    const auto* policy = reinterpret_cast<const ipidefer_segment_policy*>(
        static_cast<const char*>(ipidefer_shm_memory(map)) +
        header(map).policy_offset);
    EXPECT_EQ(policy->isolated[0], 2u);
    ipidefer_shm_close(map);
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, DraftThatIsNotPublishedLeavesNothing)
{
    const auto o = options();
    ipidefer_shm* shm = ipidefer_shm_create(&o, &error_);
    ASSERT_NE(shm, nullptr) << error_.text;
    ipidefer_shm_destroy(shm);
    EXPECT_TRUE(files().empty());
}

TEST_F(ShmTest, OrderlyEndRemovesTheNameAndTellsWhoStillLooks)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    ipidefer_shm_map* map = open();
    ASSERT_NE(map, nullptr) << error_.text;
    ipidefer_shm_destroy(shm);
    EXPECT_EQ(header(map).state, std::uint32_t{IPIDEFER_SEGMENT_ENDED});
    EXPECT_TRUE(files().empty());
    ipidefer_shm_close(map);
}

TEST_F(ShmTest, VmCanBeUsedAfterTheEndOfItsSegment)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    ipidefer_shm_map* map = open();
    ASSERT_NE(map, nullptr) << error_.text;
    ipidefer_shm_end(shm);
    EXPECT_EQ(header(map).state, std::uint32_t{IPIDEFER_SEGMENT_ENDED});
    EXPECT_TRUE(files().empty());
    // Its name is free.
    ipidefer_shm* next = create(options());
    ASSERT_NE(next, nullptr) << error_.text;
    EXPECT_TRUE(ipidefer_enabled(ipidefer_shm_vm(shm)));
    ipidefer_shm_destroy(shm);
    EXPECT_EQ(files(), std::set<std::string>{"ipidefer.vm"});
    ipidefer_shm_destroy(next);
    ipidefer_shm_close(map);
}

TEST_F(ShmTest, EndLeavesASegmentThatIsNotItsOwn)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    fs::remove(folder_.path() / "ipidefer.vm");
    std::ofstream{folder_.path() / "ipidefer.vm"} << "somebody else's";
    ipidefer_shm_destroy(shm);
    EXPECT_EQ(files(), std::set<std::string>{"ipidefer.vm"});
}

TEST_F(ShmTest, DefaultModeIsForTheOwnerOnlyWhateverTheUmask)
{
    const mode_t before = ::umask(0);
    ipidefer_shm* shm = create(options());
    ::umask(before);
    ASSERT_NE(shm, nullptr) << error_.text;
    struct stat status {};
    ASSERT_EQ(::stat((folder_.path() / "ipidefer.vm").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, ModeAndGroupAreAsAsked)
{
    auto o = options();
    o.mode = 0640;
    o.group = ::getegid();
    const mode_t before = ::umask(0777);
    ipidefer_shm* shm = create(o);
    ::umask(before);
    ASSERT_NE(shm, nullptr) << error_.text;
    struct stat status {};
    ASSERT_EQ(::stat((folder_.path() / "ipidefer.vm").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_EQ(status.st_gid, ::getegid());
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, NameOfARunningVmIsTaken)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    EXPECT_EQ(create(options()), nullptr);
    EXPECT_EQ(error_.code, EEXIST);
    EXPECT_EQ(ipidefer_shm_remove_stale(folder_.c_str(), "vm", &error_), -1);
    EXPECT_EQ(error_.code, EBUSY);
    EXPECT_EQ(files(), std::set<std::string>{"ipidefer.vm"});
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, SegmentOfADeadVmmIsFoundStaleAndReplaced)
{
    die_with_segment();
    ipidefer_shm_map* map = open();
    ASSERT_NE(map, nullptr) << error_.text;
    const ipidefer_segment h = header(map);
    ipidefer_shm_close(map);
    EXPECT_EQ(h.state, std::uint32_t{IPIDEFER_SEGMENT_LIVE});
    EXPECT_EQ(ipidefer_shm_owner(h.pid, h.pid_start, h.pid_ns),
              IPIDEFER_SHM_GONE);

    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    EXPECT_EQ(files(), std::set<std::string>{"ipidefer.vm"});
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, StaleSegmentIsRemovedOnRequestOnce)
{
    die_with_segment();
    EXPECT_EQ(ipidefer_shm_remove_stale(folder_.c_str(), "vm", &error_), 0);
    EXPECT_TRUE(files().empty());
    EXPECT_EQ(ipidefer_shm_remove_stale(folder_.c_str(), "vm", &error_), -1);
    EXPECT_EQ(error_.code, ENOENT);
}

TEST_F(ShmTest, WhatIsNoSegmentIsNeitherOpenedNorReplaced)
{
    const fs::path path = folder_.path() / "ipidefer.vm";
    std::ofstream{path} << "short";
    EXPECT_EQ(open(), nullptr);
    EXPECT_EQ(error_.code, EINVAL);
    fs::resize_file(path, 4096);
    EXPECT_EQ(create(options()), nullptr);
    EXPECT_EQ(error_.code, EEXIST);
    EXPECT_TRUE(fs::exists(path));
    fs::remove(path);
    fs::create_symlink("/dev/null", path);
    EXPECT_EQ(open(), nullptr);
    fs::remove(path);
    fs::create_directory(path);
    EXPECT_EQ(open(), nullptr);
    fs::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(open(), nullptr);
    EXPECT_EQ(error_.code, EINVAL);
}

TEST_F(ShmTest, RefusedCreationLeavesNothingBehind)
{
    auto o = options();
    o.vcpus = 0;
    EXPECT_EQ(create(o), nullptr);
    o = options();
    o.ring_entries = 3;
    EXPECT_EQ(create(o), nullptr);
    EXPECT_EQ(error_.code, EINVAL);
    EXPECT_EQ(create(options("")), nullptr);
    o = options();
    o.directory = "/nonexistent";
    EXPECT_EQ(create(o), nullptr);
    EXPECT_EQ(error_.code, ENOENT);
    EXPECT_TRUE(files().empty());
}

TEST_F(ShmTest, DraftThatADeadProcessLeftIsInNobodysWay)
{
    for (int i = 0; i < 1000; ++i)
        std::ofstream{folder_.path() /
                      (".ipidefer-" + std::to_string(::getpid()) + '-' +
                       std::to_string(i))};
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    ipidefer_shm_destroy(shm);
    EXPECT_EQ(files().size(), 1000u);
}

TEST_F(ShmTest, ListNamesSegmentsOnly)
{
    ipidefer_shm* one = create(options("a b"));
    ASSERT_NE(one, nullptr) << error_.text;
    ipidefer_shm* two = create(options("c"));
    ASSERT_NE(two, nullptr) << error_.text;
    std::ofstream{folder_.path() / "other"} << "x";
    std::set<std::string> names;
    EXPECT_EQ(ipidefer_shm_list(
                  folder_.c_str(),
                  [](void* opaque, const char* name) {
                      static_cast<std::set<std::string>*>(opaque)->insert(name);
                  },
                  &names, &error_),
              0);
    EXPECT_EQ(names, (std::set<std::string>{"a b", "c"}));
    ipidefer_shm_destroy(one);
    ipidefer_shm_destroy(two);
}

TEST_F(ShmTest, NoSuchVmIsSaid)
{
    EXPECT_EQ(open("nobody"), nullptr);
    EXPECT_EQ(error_.code, ENOENT);
    EXPECT_STREQ(error_.text, "there is no VM 'nobody'");
}

}  // namespace
}  // namespace ipidefer::shm
