// SPDX-License-Identifier: GPL-2.0-or-later
// The writer against a reader that shares nothing with it.
#include "experiments/lab/cpio.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

struct Entry {
    unsigned mode;
    unsigned major;
    unsigned minor;
    std::string content;
};

/// In the order of the archive; ends at the trailer.
std::vector<std::pair<std::string, Entry>> unpack(const std::string& archive)
{
    std::vector<std::pair<std::string, Entry>> entries;
    std::set<unsigned long> inodes;
    std::size_t at = 0;
    const auto field = [&](std::size_t number) {
        return std::stoul(archive.substr(at + 6 + 8 * number, 8), nullptr, 16);
    };
    const auto aligned = [](std::size_t n) { return (n + 3) / 4 * 4; };
    for (;;) {
        EXPECT_EQ(archive.substr(at, 6), "070701");
        EXPECT_TRUE(inodes.insert(field(0)).second) << "an inode twice";
        const auto name_size = field(11);
        const auto size = field(6);
        const std::string name = archive.substr(at + 110, name_size - 1);
        EXPECT_EQ(archive[at + 110 + name_size - 1], '\0');
        const std::size_t content = aligned(at + 110 + name_size);
        const Entry entry{
            static_cast<unsigned>(field(1)), static_cast<unsigned>(field(9)),
            static_cast<unsigned>(field(10)), archive.substr(content, size)};
        at = aligned(content + size);
        if (name == "TRAILER!!!") {
            EXPECT_EQ(at, archive.size());
            return entries;
        }
        entries.emplace_back(name, entry);
    }
}

TEST(Cpio, EveryKindOfEntryIsReadBack)
{
    std::ostringstream out;
    CpioWriter cpio{out};
    cpio.folder("dev");
    cpio.character_device("dev/console", 0600, 5, 1);
    cpio.file("init", "#!", 0755);
    cpio.symlink("bin", "lab/bin");
    cpio.finish();

    const auto entries = unpack(out.str());
    ASSERT_EQ(entries.size(), 4u);
    EXPECT_EQ(entries[0].first, "dev");
    EXPECT_EQ(entries[0].second.mode, S_IFDIR | 0755u);
    EXPECT_EQ(entries[1].second.mode, S_IFCHR | 0600u);
    EXPECT_EQ(entries[1].second.major, 5u);
    EXPECT_EQ(entries[1].second.minor, 1u);
    EXPECT_EQ(entries[2].second.mode, S_IFREG | 0755u);
    EXPECT_EQ(entries[2].second.content, "#!");
    EXPECT_EQ(entries[3].second.mode, S_IFLNK | 0777u);
    EXPECT_EQ(entries[3].second.content, "lab/bin");
}

TEST(Cpio, AnyLengthOfNameAndContentIsAligned)
{
    std::ostringstream out;
    CpioWriter cpio{out};
    for (std::size_t n = 1; n < 10; ++n)
        cpio.file(std::string(n, 'n'), std::string(10 - n, 'c'), 0644);
    cpio.finish();
    const auto entries = unpack(out.str());
    ASSERT_EQ(entries.size(), 9u);
    for (std::size_t n = 1; n < 10; ++n)
        EXPECT_EQ(entries[n - 1].second.content, std::string(10 - n, 'c'));
}

TEST(Cpio, FoldersOnTheWayComeFirstAndOnce)
{
    std::ostringstream out;
    CpioWriter cpio{out};
    cpio.file("a/b/one", "", 0644);
    cpio.file("a/b/two", "", 0644);
    cpio.finish();
    std::vector<std::string> names;
    for (const auto& [name, entry] : unpack(out.str())) names.push_back(name);
    EXPECT_EQ(names,
              (std::vector<std::string>{"a", "a/b", "a/b/one", "a/b/two"}));
}

TEST(Cpio, TreeIsCopiedWithItsPermissionsAndLinks)
{
    const Scratch scratch;
    const fs::path from = scratch.path() / "tree";
    fs::create_directories(from / "sub");
    std::ofstream{from / "sub" / "script"} << "content";
    std::ofstream{from / "empty"};
    fs::permissions(from / "sub" / "script", fs::perms{0750});
    fs::create_symlink("sub/script", from / "link");

    std::ostringstream out;
    CpioWriter cpio{out};
    cpio.tree(from, "");
    cpio.finish();
    std::map<std::string, Entry> entries;
    for (auto& [name, entry] : unpack(out.str())) entries.emplace(name, entry);
    EXPECT_EQ(entries.at("sub/script").content, "content");
    EXPECT_EQ(entries.at("sub/script").mode, S_IFREG | 0750u);
    EXPECT_EQ(entries.at("link").content, "sub/script");
    EXPECT_EQ(entries.at("empty").content, "");
}

TEST(Cpio, TreeWithASocketOrFifoIsRefused)
{
    const Scratch scratch;
    const fs::path fifo = scratch.path() / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    std::ostringstream out;
    CpioWriter cpio{out};
    EXPECT_THROW(cpio.tree(scratch.path(), ""), Failure);
}

}  // namespace
}  // namespace ipidefer::lab
