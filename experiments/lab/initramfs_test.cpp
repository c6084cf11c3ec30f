// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/initramfs.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;

class InitramfsTest : public testing::Test {
  protected:
    InitramfsTest()
    {
        contents_.guest_programs = make_folder("programs");
        for (const char* name :
             {"lab-agent", "lab-bpf-attach", "lab-bpf-maps", "lab-cgroup-bpf",
              "lab-huge-pages", "lab-many-files", "lab-memory",
              "lab-perf-events", "lab-seccomp", "lab-secret-page"})
            std::ofstream{contents_.guest_programs / name} << name;
        contents_.busybox = make_file("busybox", "box");
    }

    fs::path make_folder(const char* name)
    {
        fs::create_directory(scratch_.path() / name);
        return scratch_.path() / name;
    }

    fs::path make_file(const char* name, const std::string& content)
    {
        std::ofstream{scratch_.path() / name} << content;
        return scratch_.path() / name;
    }

    std::string archive()
    {
        write_initramfs(contents_, scratch_.path() / "out");
        return read_whole(scratch_.path() / "out");
    }

    Scratch scratch_;
    RootContents contents_;
};

/// Names are followed by a NUL in the archive.
bool has(const std::string& archive, const std::string& path)
{
    return archive.find(path + '\0') != std::string::npos;
}

TEST_F(InitramfsTest, LabIsThereWithItsAgent)
{
    const auto made = archive();
    for (const char* path :
         {"lab/agent", "lab/busybox", "lab/bin", "lab/lab-bpf-attach",
          "lab/lab-bpf-maps", "lab/lab-cgroup-bpf", "lab/lab-huge-pages",
          "lab/lab-many-files", "lab/lab-memory", "lab/lab-perf-events",
          "lab/lab-seccomp", "lab/lab-secret-page", "proc", "dev/console"})
        EXPECT_TRUE(has(made, path)) << path;
}

TEST_F(InitramfsTest, UsersRootComesFirstAndIsAligned)
{
    for (std::size_t size = 1; size <= 4; ++size) {
        contents_.initrd = make_file("initrd", std::string(size, 'x'));
        const auto made = archive();
        EXPECT_EQ(made.substr(0, size), std::string(size, 'x'));
        EXPECT_EQ(made.find("070701"), 4u);
    }
}

TEST_F(InitramfsTest, ModulesAreTheFilesThatAreModules)
{
    contents_.modules = make_folder("modules");
    std::ofstream{*contents_.modules / "crc7.ko"} << "module";
    std::ofstream{*contents_.modules / "modules.dep"} << "text";
    const auto made = archive();
    EXPECT_TRUE(has(made, "lab/modules/crc7.ko"));
    EXPECT_EQ(made.find("modules.dep"), std::string::npos);
}

TEST_F(InitramfsTest, OverlayComesLast)
{
    contents_.overlay = make_folder("overlay");
    std::ofstream{*contents_.overlay / "mine"} << "content";
    const auto made = archive();
    EXPECT_GT(made.find(std::string{"mine"} + '\0'),
              made.find(std::string{"lab/busybox"} + '\0'));
}

TEST_F(InitramfsTest, WorkloadsKeepTheNamesTheyWereGiven)
{
    contents_.workloads["mixed.sh"] = make_file("script", "#!");
    EXPECT_TRUE(has(archive(), "lab/workloads/mixed.sh"));
}

TEST_F(InitramfsTest, MissingProgramIsNamed)
{
    contents_.busybox = "/nonexistent/busybox";
    EXPECT_THROW((void)archive(), Failure);
}

TEST_F(InitramfsTest, NestedBringsTheVmmAndItsGuest)
{
    EXPECT_FALSE(has(archive(), "lab/ipidefer-vmm-static"));
    for (const char* name : {"ipidefer-vmm-static", "kvm-guest.elf"})
        std::ofstream{contents_.guest_programs / name} << name;
    contents_.nested = true;
    const auto made = archive();
    EXPECT_TRUE(has(made, "lab/ipidefer-vmm-static"));
    EXPECT_TRUE(has(made, "lab/kvm-guest.elf"));
}

}  // namespace
}  // namespace ipidefer::lab
