// SPDX-License-Identifier: GPL-2.0-or-later
// On libvirt's own driver for tests, whose domains are this process's memory. A
// libvirtd that dies and comes back: tests/domain.
#include "host/libvirt/domain_watch.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <optional>
#include <thread>

#include "host/libvirt/connection.hpp"
#include "host/libvirt/loop_testing.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::libvirt {
namespace {

constexpr DomainWatch::Pauses kShort{std::chrono::milliseconds{1},
                                     std::chrono::milliseconds{4}};

class DomainWatchTest : public test::LoopTest {
  protected:
    void watch(const std::string& uri)
    {
        watch_.emplace(io_.get_executor(), uri,
                       DomainWatch::Listener{
                           [this](auto domains) {
                               ++listed_;
                               domains_ = std::move(domains);
                           },
                           [this](bool yes) { connected_.push_back(yes); },
                           [this](auto text) { notes_.push_back(text); }},
                       kShort);
    }

    std::optional<DomainWatch> watch_;
    int listed_ = 0;
    std::vector<ActiveDomain> domains_;
    std::vector<bool> connected_;
    std::vector<std::string> notes_;
};

TEST_F(DomainWatchTest, TellsWhatRunsAndWhatChanges)
{
    watch("test:///default");
    ASSERT_TRUE(run_until([&] { return domains_.size() == 1; }));
    EXPECT_EQ(domains_[0].name, "test");
    EXPECT_EQ(domains_[0].uuid, "6695eb01-f6a4-8304-79aa-97f2502e193f");
    EXPECT_NE(domains_[0].xml.find("<domain"), std::string::npos);
    EXPECT_EQ(connected_, std::vector<bool>{true});

    const ConnectionPtr other{::virConnectOpen("test:///default")};
    ASSERT_NE(other, nullptr);
    const DomainPtr domain = find_domain(other.get(), "test");
    ASSERT_EQ(::virDomainDestroy(domain.get()), 0);
    EXPECT_TRUE(run_until([&] { return domains_.empty(); }));
    ASSERT_EQ(::virDomainCreate(domain.get()), 0);
    EXPECT_TRUE(run_until([&] { return domains_.size() == 1; }));
}

TEST_F(DomainWatchTest, TriesAgainAndSaysWhyOnce)
{
    watch("qemu+unix:///system?socket=/nonexistent");
    ASSERT_TRUE(run_until([&] { return !notes_.empty(); }));
    // Time for many more tries.
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    io_.restart();
    io_.poll();
    EXPECT_EQ(notes_.size(), 1u);
    EXPECT_NE(notes_[0].find("cannot connect to libvirt at "
                             "'qemu+unix:///system?socket=/nonexistent'"),
              std::string::npos)
        << notes_[0];
    EXPECT_TRUE(connected_.empty());
}

/// Threads of this process.
std::ptrdiff_t threads()
{
    return std::distance(std::filesystem::directory_iterator{"/proc/self/task"},
                         {});
}

TEST_F(DomainWatchTest, ThreadEndsWithTheWatch)
{
    watch("test:///default");
    ASSERT_TRUE(run_until([&] { return listed_ == 1; }));
    watch_.reset();
    // With what libvirt has by now; at times with the watch's, which is about
    // to end.
    const auto before = threads();
    watch("test:///default");
    ASSERT_TRUE(run_until([&] { return listed_ == 2; }));
    watch_.reset();
    // It waits for its first event, and the end is none of libvirt's.
    EXPECT_TRUE(run_until([&] { return threads() <= before; }));
    watch("qemu+unix:///system?socket=/nonexistent");
    ASSERT_TRUE(run_until([&] { return !notes_.empty(); }));
    watch_.reset();
    EXPECT_TRUE(run_until([&] { return threads() <= before; }));
}

// Its thread is in a call that libvirtd does not answer for longer than the end
// waits. What it then wants to tell finds nobody, and posts nothing.
TEST_F(DomainWatchTest, LibvirtdThatHangsUntilAfterTheEndIsHarmless)
{
    const shm::test::TemporaryFolder folder;
    const std::string path = folder.path() / "socket";
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::snprintf(at.sun_path, sizeof at.sun_path, "%s", path.c_str());
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    ASSERT_EQ(::listen(listener, 1), 0);

    const auto before = threads();
    watch("qemu+unix:///system?socket=" + path);
    const int hanging = ::accept(listener, nullptr, nullptr);
    ASSERT_GE(hanging, 0);
    watch_.reset();
    io_.restart();
    io_.poll();
    EXPECT_GT(threads(), before);  // it hangs
    ::close(hanging);
    ::close(listener);
    const auto limit =
        std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (threads() > before) {
        ASSERT_LT(std::chrono::steady_clock::now(), limit);
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    io_.restart();
    EXPECT_EQ(io_.poll(), 0u);
    EXPECT_TRUE(notes_.empty());
}

TEST_F(DomainWatchTest, NothingIsToldAfterTheEnd)
{
    watch("test:///default");
    ASSERT_TRUE(run_until([&] { return listed_ == 1; }));
    watch_.reset();
    const ConnectionPtr other{::virConnectOpen("test:///default")};
    const DomainPtr domain = find_domain(other.get(), "test");
    ASSERT_EQ(::virDomainSuspend(domain.get()), 0);
    ASSERT_EQ(::virDomainResume(domain.get()), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    io_.restart();
    io_.poll();
    EXPECT_EQ(listed_, 1);
    // And another one can follow.
    watch("test:///default");
    EXPECT_TRUE(run_until([&] { return listed_ == 2; }));
}

}  // namespace
}  // namespace ipidefer::libvirt
