// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <thread>

#include "base/failure_testing.hpp"
#include "base/scratch.hpp"

namespace ipidefer {
namespace {

class File : public testing::Test {
  protected:
    [[nodiscard]] std::filesystem::path at(const std::string& name) const
    {
        return folder_.path() / name;
    }

  private:
    Scratch folder_;
};

TEST_F(File, IsReadAsItWasWritten)
{
    const std::string text = std::string(100'000, 'x') + '\0' + "end\n";
    write_whole(at("some"), text);
    EXPECT_EQ(read_whole(at("some")), text);
    EXPECT_EQ(read_whole(at("some"), text.size()), text);
    EXPECT_EQ(read_input(at("some").string(), text.size()), text);
    write_whole(at("none"), "");
    EXPECT_EQ(read_whole(at("none"), 0), "");
}

TEST_F(File, MayHaveNoSize)
{
    EXPECT_NE(read_whole("/proc/self/status").find("Name:"), std::string::npos);
    ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
    std::thread writer{[&] { write_whole(at("fifo"), "came late"); }};
    EXPECT_EQ(read_whole(at("fifo")), "came late");
    writer.join();
}

TEST_F(File, MayBeTooLong)
{
    write_whole(at("eleven"), "eleven char");
    EXPECT_EQ(refusal_of([&] { return read_whole(at("eleven"), 10); }),
              "'" + at("eleven").string() +
                  "' has more than 10 bytes, the most that is read");
}

TEST_F(File, ThatCannotBeReadIsNamedWithTheReason)
{
    EXPECT_EQ(refusal_of([] { return read_whole("/nonexistent/file"); }),
              "cannot read '/nonexistent/file': No such file or directory");
    EXPECT_EQ(refusal_of([] { return read_whole("/"); }),
              "cannot read '/': Is a directory");
    EXPECT_EQ(refusal_of([] { return read_input("/no\n", 10); }),
              "cannot read '/no\\x0a': No such file or directory");
}

TEST_F(File, ThatCannotBeWrittenIsNamedWithTheReason)
{
    EXPECT_EQ(refusal_of([] { write_whole("/nonexistent/file", ""); }),
              "cannot write '/nonexistent/file': No such file or directory");
}

}  // namespace
}  // namespace ipidefer
