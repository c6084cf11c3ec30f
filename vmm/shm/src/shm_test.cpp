// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <gtest/gtest.h>
#include <ipidefer/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "vmm/shm/tests/temporary_folder.hpp"

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
    [[nodiscard]] ipidefer_shm_place place() const
    {
        return {folder_.c_str(), nullptr, 0};
    }
    ipidefer_shm_map* open(const std::string& id, bool writable = false)
    {
        const ipidefer_shm_place here = place();
        return ipidefer_shm_open(&here, id.c_str(), writable, &error_);
    }
    ipidefer_shm_map* open(const ipidefer_shm* shm, bool writable = false)
    {
        return open(ipidefer_shm_id(shm), writable);
    }
    int remove_stale(const std::string& id)
    {
        const ipidefer_shm_place here = place();
        return ipidefer_shm_remove_stale(&here, id.c_str(), &error_);
    }
    std::vector<ipidefer_shm_entry> list(ipidefer_shm_left_out& left_out)
    {
        const ipidefer_shm_place here = place();
        std::vector<ipidefer_shm_entry> entries;
        EXPECT_EQ(ipidefer_shm_list(
                      &here,
                      [](void* to, const ipidefer_shm_entry* entry) {
                          static_cast<std::vector<ipidefer_shm_entry>*>(to)
                              ->push_back(*entry);
                      },
                      &entries, &left_out, &error_),
                  0)
            << error_.text;
        return entries;
    }
    /// The only one.
    std::string id()
    {
        ipidefer_shm_left_out left_out{};
        const auto entries = list(left_out);
        return entries.size() == 1 ? entries.front().id : "";
    }
    static std::string file_of(const ipidefer_shm* shm)
    {
        return std::string{"ipidefer."} + ipidefer_shm_id(shm);
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
    ipidefer_shm_map* map = open(shm);
    ASSERT_NE(map, nullptr) << error_.text;
    const ipidefer_segment& h = header(map);
    EXPECT_EQ(h.magic, IPIDEFER_SEGMENT_MAGIC);
    EXPECT_EQ(h.state, std::uint32_t{IPIDEFER_SEGMENT_LIVE});
    EXPECT_STREQ(h.name, "vm");
    EXPECT_STREQ(h.producer, "test 1.0");
    EXPECT_EQ(h.pid, static_cast<std::uint64_t>(::getpid()));
    EXPECT_EQ(ipidefer_shm_owner(map), ::geteuid());
    EXPECT_EQ(ipidefer_shm_life_of(map), IPIDEFER_SHM_RUNS);
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
    EXPECT_STREQ(ipidefer_shm_id(shm), "");
    EXPECT_TRUE(files().empty());
    ASSERT_EQ(ipidefer_set_isolated(ipidefer_shm_vm(shm), 1, true),
              IPIDEFER_OK);
    ASSERT_EQ(ipidefer_shm_publish(shm, &error_), 0) << error_.text;
    EXPECT_EQ(files(), std::set<std::string>{file_of(shm)});
    ipidefer_shm_map* map = open(shm);
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
    ipidefer_shm_map* map = open(shm);
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
    ipidefer_shm_map* map = open(shm);
    ASSERT_NE(map, nullptr) << error_.text;
    ipidefer_shm_end(shm);
    EXPECT_EQ(header(map).state, std::uint32_t{IPIDEFER_SEGMENT_ENDED});
    EXPECT_TRUE(files().empty());
    EXPECT_TRUE(ipidefer_enabled(ipidefer_shm_vm(shm)));
    ipidefer_shm_destroy(shm);
    EXPECT_EQ(ipidefer_shm_life_of(map), IPIDEFER_SHM_GONE);
    ipidefer_shm_close(map);
}

TEST_F(ShmTest, EndLeavesAFileThatIsNotItsOwn)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    const std::string name = file_of(shm);
    fs::remove(folder_.path() / name);
    std::ofstream{folder_.path() / name} << "somebody else's";
    ipidefer_shm_destroy(shm);
    EXPECT_EQ(files(), std::set<std::string>{name});
}

TEST_F(ShmTest, DefaultModeIsForTheOwnerOnlyWhateverTheUmask)
{
    const mode_t before = ::umask(0);
    ipidefer_shm* shm = create(options());
    ::umask(before);
    ASSERT_NE(shm, nullptr) << error_.text;
    struct stat status {};
    ASSERT_EQ(::stat((folder_.path() / file_of(shm)).c_str(), &status), 0);
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
    ASSERT_EQ(::stat((folder_.path() / file_of(shm)).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_EQ(status.st_gid, ::getegid());
    ipidefer_shm_destroy(shm);
}

// As while a VM moves to a new VMM on the same host.
TEST_F(ShmTest, TwoVmsOfOneNameAreInNobodysWay)
{
    ipidefer_shm* one = create(options());
    ASSERT_NE(one, nullptr) << error_.text;
    ipidefer_shm* two = create(options());
    ASSERT_NE(two, nullptr) << error_.text;
    EXPECT_STRNE(ipidefer_shm_id(one), ipidefer_shm_id(two));
    EXPECT_EQ(files(), (std::set<std::string>{file_of(one), file_of(two)}));
    ipidefer_shm_destroy(one);
    EXPECT_EQ(files(), std::set<std::string>{file_of(two)});
    ipidefer_shm_destroy(two);
    EXPECT_TRUE(files().empty());
}

TEST_F(ShmTest, SegmentOfARunningVmIsNotRemoved)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    EXPECT_EQ(remove_stale(ipidefer_shm_id(shm)), -1);
    EXPECT_EQ(error_.code, EBUSY);
    EXPECT_EQ(files(), std::set<std::string>{file_of(shm)});
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, SegmentOfADeadVmmIsFoundStaleAndRemovedByTheNextOfItsName)
{
    die_with_segment();
    ipidefer_shm_map* map = open(id());
    ASSERT_NE(map, nullptr) << error_.text;
    EXPECT_EQ(header(map).state, std::uint32_t{IPIDEFER_SEGMENT_LIVE});
    EXPECT_EQ(ipidefer_shm_life_of(map), IPIDEFER_SHM_GONE);

    ipidefer_shm* other = create(options("other"));
    ASSERT_NE(other, nullptr) << error_.text;
    EXPECT_EQ(files().size(), 2u);
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    EXPECT_EQ(files(), (std::set<std::string>{file_of(shm), file_of(other)}));
    // The file is not used again, whoever still looks at it.
    EXPECT_EQ(ipidefer_shm_life_of(map), IPIDEFER_SHM_GONE);
    ipidefer_shm_close(map);
    ipidefer_shm_destroy(shm);
    ipidefer_shm_destroy(other);
}

// The lock tells, and no pid: so it does from any other namespace.
TEST_F(ShmTest, LifeDoesNotDependOnThePidInTheHeader)
{
    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    ipidefer_shm_map* map = open(shm, true);
    ASSERT_NE(map, nullptr) << error_.text;
    auto* h = static_cast<ipidefer_segment*>(ipidefer_shm_memory(map));
    h->pid = 999'999;
    h->pid_ns = 1;
    EXPECT_EQ(ipidefer_shm_life_of(map), IPIDEFER_SHM_RUNS);
    EXPECT_EQ(remove_stale(ipidefer_shm_id(shm)), -1);
    ipidefer_shm_close(map);
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, WhoMayOnlyReadCannotFeignLife)
{
    die_with_segment();
    const std::string stale = id();
    const int fd = ::open((folder_.path() / ("ipidefer." + stale)).c_str(),
                          O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    struct flock lock {};
    lock.l_type = F_RDLCK;
    ASSERT_EQ(::fcntl(fd, F_OFD_SETLK, &lock), 0);
    ipidefer_shm_map* map = open(stale);
    ASSERT_NE(map, nullptr) << error_.text;
    EXPECT_EQ(ipidefer_shm_life_of(map), IPIDEFER_SHM_GONE);
    ipidefer_shm_close(map);
    ::close(fd);
}

TEST_F(ShmTest, LookersDoNotSeeEachOther)
{
    die_with_segment();
    ipidefer_shm_map* one = open(id());
    ipidefer_shm_map* two = open(id(), true);
    ASSERT_NE(one, nullptr) << error_.text;
    ASSERT_NE(two, nullptr) << error_.text;
    EXPECT_EQ(ipidefer_shm_life_of(one), IPIDEFER_SHM_GONE);
    EXPECT_EQ(ipidefer_shm_life_of(two), IPIDEFER_SHM_GONE);
    EXPECT_EQ(remove_stale(id()), 0);
    ipidefer_shm_close(one);
    ipidefer_shm_close(two);
}

TEST_F(ShmTest, StaleSegmentIsRemovedOnRequestOnce)
{
    die_with_segment();
    const std::string stale = id();
    EXPECT_EQ(remove_stale(stale), 0);
    EXPECT_TRUE(files().empty());
    EXPECT_EQ(remove_stale(stale), -1);
    EXPECT_EQ(error_.code, ENOENT);
}

// Killed between creating and naming it.
TEST_F(ShmTest, VmmThatDiesBeforeItPublishesLeavesNothing)
{
    const auto o = options();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (ipidefer_shm_create(&o, &error_) == nullptr) ::_exit(1);
        ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_TRUE(files().empty());
}

TEST_F(ShmTest, AnotherUsersFileIsNeitherInTheWayNorShown)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make another user's file";
    const fs::path path = folder_.path() / "ipidefer.vm~00000001";
    std::ofstream{path} << std::string(8192, '\0');
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
    fs::permissions(folder_.path(), fs::perms{01777});

    ipidefer_shm* shm = create(options());
    ASSERT_NE(shm, nullptr) << error_.text;
    ipidefer_shm_left_out left_out{};
    const auto entries = list(left_out);
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_STREQ(entries.front().id, ipidefer_shm_id(shm));
    EXPECT_EQ(left_out.foreign, 1u);
    EXPECT_EQ(open("vm~00000001"), nullptr);
    EXPECT_EQ(error_.code, EPERM);
    EXPECT_EQ(remove_stale("vm~00000001"), -1);
    EXPECT_EQ(error_.code, EPERM);
    EXPECT_TRUE(fs::exists(path));

    // Unless it is asked for.
    const uid_t owners[] = {65534};
    const ipidefer_shm_place theirs{folder_.c_str(), owners, 1};
    ipidefer_shm_map* map =
        ipidefer_shm_open(&theirs, "vm~00000001", false, &error_);
    ASSERT_NE(map, nullptr) << error_.text;
    EXPECT_EQ(ipidefer_shm_owner(map), 65534u);
    ipidefer_shm_close(map);
    ipidefer_shm_destroy(shm);
}

TEST_F(ShmTest, WhatIsNoSegmentIsNotOpened)
{
    const std::string id = "vm~00000001";
    const fs::path path = folder_.path() / ("ipidefer." + id);
    std::ofstream{path} << "short";
    EXPECT_EQ(open(id), nullptr);
    EXPECT_EQ(error_.code, EINVAL);
    fs::remove(path);
    ipidefer_shm_left_out left_out{};
    const auto one_other = [&] {
        EXPECT_EQ(open(id), nullptr);
        EXPECT_TRUE(list(left_out).empty());
        EXPECT_EQ(left_out.other, 1u);
        fs::remove(path);
    };
    fs::create_symlink("/dev/null", path);
    one_other();
    fs::create_directory(path);
    one_other();
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    one_other();
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

TEST_F(ShmTest, FileSystemThatCannotIsNamed)
{
    auto o = options();
    o.directory = "/sys";
    EXPECT_EQ(create(o), nullptr);
    EXPECT_EQ(error_.code, EOPNOTSUPP);
    EXPECT_NE(std::string{error_.text}.find("O_TMPFILE"), std::string::npos)
        << error_.text;
}

TEST_F(ShmTest, ListNamesSegmentsOnlyAndCountsTheRest)
{
    ipidefer_shm* one = create(options("a b"));
    ASSERT_NE(one, nullptr) << error_.text;
    ipidefer_shm* two = create(options("b\xff"));
    ASSERT_NE(two, nullptr) << error_.text;
    std::ofstream{folder_.path() / "other"} << "x";
    std::ofstream{folder_.path() / "ipidefer.untagged"} << "x";
    std::set<std::string> names;
    ipidefer_shm_left_out left_out{};
    for (const auto& entry : list(left_out)) {
        names.insert(entry.name);
        EXPECT_EQ(entry.owner, ::geteuid());
        EXPECT_NE(entry.published_ns, 0u);
    }
    EXPECT_EQ(names, (std::set<std::string>{"a b", "b\xff"}));
    EXPECT_EQ(left_out.other, 1u);
    EXPECT_EQ(left_out.foreign, 0u);
    ipidefer_shm_destroy(one);
    ipidefer_shm_destroy(two);
}

TEST_F(ShmTest, FoldersThatAreReadAreNamed)
{
    const ipidefer_shm_place here = place();
    std::set<std::string> paths;
    EXPECT_EQ(ipidefer_shm_folders(
                  &here,
                  [](void* to, const char* path) {
                      static_cast<std::set<std::string>*>(to)->insert(path);
                  },
                  &paths, &error_),
              0);
    EXPECT_EQ(paths, std::set<std::string>{folder_.path()});
}

TEST_F(ShmTest, NoSuchSegmentIsSaid)
{
    EXPECT_EQ(open("nobody~00000001"), nullptr);
    EXPECT_EQ(error_.code, ENOENT);
    EXPECT_STREQ(error_.text, "there is no segment 'nobody~00000001'");
    EXPECT_EQ(open("nobody"), nullptr);
    EXPECT_EQ(error_.code, EINVAL);
}

}  // namespace
}  // namespace ipidefer::shm
