// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/qemu_process.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/failure_testing.hpp"
#include "base/scratch.hpp"

namespace ipidefer::domain {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

class QemuProcess : public testing::Test {
  protected:
    void file(const fs::path& path, const std::string& text)
    {
        fs::create_directories((folder_ / path).parent_path());
        std::ofstream{folder_ / path, std::ios::binary} << text;
    }
    void runs(const std::string& guest)
    {
        file("proc/77/cmdline",
             "/usr/bin/qemu-system-x86_64\0-name\0"s + guest + "\0-S\0"s);
    }
    std::optional<int> found(const std::string& name)
    {
        return qemu_process(name, folder_ / "run", folder_ / "proc");
    }

    Scratch scratch_;
    fs::path folder_ = scratch_.path();
};

TEST_F(QemuProcess, IsWhatThePidFileSays)
{
    file("run/web1.pid", "77");
    runs("guest=web1,debug-threads=on");
    EXPECT_EQ(found("web1"), 77);
    runs("guest=web1");
    EXPECT_EQ(found("web1"), 77);
}

TEST_F(QemuProcess, DomainWithoutAPidFileDoesNotRun)
{
    file("run/web1.pid", "77");
    EXPECT_EQ(found("web2"), std::nullopt);
}

TEST_F(QemuProcess, NamesHaveCommas)
{
    file("run/a,b.pid", "77\n");
    runs("guest=a,,b,debug-threads=on");
    EXPECT_EQ(found("a,b"), 77);
    file("run/a.pid", "77\n");
    EXPECT_NE(refusal_of([&] { return found("a"); }), "");
}

TEST_F(QemuProcess, LeftoverIsNotTakenForTheDomain)
{
    file("run/web1.pid", "77");
    const auto refused = [&] {
        return refusal_of([&] { return found("web1"); });
    };
    // Nobody has the PID now, or another domain, or another program.
    EXPECT_TRUE(
        refused().ends_with("web1.pid is a leftover: process 77 is not "
                            "the QEMU of domain 'web1'"))
        << refused();
    runs("guest=web10,debug-threads=on");
    EXPECT_NE(refused(), "");
    file("proc/77/cmdline", "bash\0web1\0"s);
    EXPECT_NE(refused(), "");
}

TEST_F(QemuProcess, FileThatSaysNothingIsRefused)
{
    for (const char* const text : {"", "seven", "-1", "0"}) {
        file("run/web1.pid", text);
        const auto said = refusal_of([&] { return found("web1"); });
        EXPECT_NE(said.find("says no PID, but '"s + text + "'"),
                  std::string::npos)
            << said;
    }
}

TEST_F(QemuProcess, NameWithASlashIsNone)
{
    EXPECT_EQ(refusal_of([&] { return found("../web1"); }),
              "'../web1' is no domain's name: these have no / in them");
}

}  // namespace
}  // namespace ipidefer::domain
