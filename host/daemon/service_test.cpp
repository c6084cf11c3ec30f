// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon as a service of systemd: what it tells, and what it takes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/process.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::daemon {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using asio::ip::tcp;
using asio::local::datagram_protocol;
using asio::local::stream_protocol;

/// Far longer than anything takes.
constexpr timeval kReceiveTimeout{60, 0};

/// A socket of datagrams, as systemd and the journal have them.
class Mailbox {
  public:
    explicit Mailbox(const fs::path& path)
        : socket_{io_, datagram_protocol::endpoint{path.string()}}
    {
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO,
                     &kReceiveTimeout, sizeof kReceiveTimeout);
    }
    /// The next that has this in it; "" when none comes.
    std::string with(const std::string& what)
    {
        for (;;) {
            char text[8192];
            const ssize_t got =
                ::recv(socket_.native_handle(), text, sizeof text, 0);
            if (got < 0) return "";
            std::string message(text, static_cast<std::size_t>(got));
            if (message.find(what) != std::string::npos) return message;
        }
    }

  private:
    asio::io_context io_;
    datagram_protocol::socket socket_;
};

class ServiceTest : public ::testing::Test {
  protected:
    void SetUp() override
    {
        std::ofstream{config_}
            << nlohmann::json{{"listen", "127.0.0.1:0"},
                              {"control", control_.string()},
                              {"shm_dir", segments_.path().string()},
                              {"control_users", {::geteuid()}},
                              {"libvirt_uri", ""}};
    }
    Process::Start start(const std::string& script = "exec \"$0\" \"$@\"")
    {
        return {.program = "/bin/sh",
                .arguments = {"-c", script, IPIDEFERD, "--config",
                              config_.string()},
                .piped = true};
    }
    std::string ask(const std::string& request)
    {
        asio::io_context io;
        stream_protocol::socket socket{io};
        socket.connect(stream_protocol::endpoint{control_.string()});
        asio::write(socket, asio::buffer(request + '\n'));
        std::string answer;
        asio::read_until(socket, asio::dynamic_buffer(answer), '\n');
        return answer;
    }

    shm::test::TemporaryFolder folder_;
    shm::test::TemporaryFolder segments_;
    fs::path config_ = folder_.path() / "config";
    fs::path control_ = folder_.path() / "control";
};

TEST_F(ServiceTest, TellsHowItIs)
{
    const fs::path path = folder_.path() / "notify";
    Mailbox systemd{path};
    Process::Start how = start();
    how.environment = {"NOTIFY_SOCKET=" + path.string()};
    Process daemon{how};
    EXPECT_NE(systemd.with("READY=1"), "");
    EXPECT_NE(systemd.with("WATCHDOG=1"), "");
    EXPECT_NE(systemd.with("STATUS=0 VMs"), "");
    const segment::test::TestVm vm{segments_.path(), "web"};
    EXPECT_NE(systemd.with("STATUS=1 VMs"), "");
    daemon.signal(SIGHUP);
    EXPECT_NE(systemd.with("RELOADING=1").find("MONOTONIC_USEC="),
              std::string::npos);
    EXPECT_NE(systemd.with("READY=1"), "");
    daemon.signal(SIGTERM);
    EXPECT_NE(systemd.with("STOPPING=1"), "");
    EXPECT_EQ(daemon.wait(), 0);
}

TEST_F(ServiceTest, ListensWhereSystemdListens)
{
    asio::io_context io;
    tcp::acceptor metrics{io, {asio::ip::make_address_v4("127.0.0.1"), 0}};
    stream_protocol::acceptor control{
        io, stream_protocol::endpoint{control_.string()}};
    Process::Start how = start("LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\"");
    how.descriptors = {control.native_handle(), metrics.native_handle()};
    Process daemon{how};
    EXPECT_TRUE(ask(R"({"command":"status"})").starts_with("{\"vms\":"));
    tcp::socket client{io};
    client.connect(metrics.local_endpoint());
    asio::write(client,
                asio::buffer(std::string{"GET /healthz HTTP/1.0\r\n\r\n"}));
    std::string answer;
    asio::read_until(client, asio::dynamic_buffer(answer), "\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.0 200")) << answer;
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(), 0);
    // It is systemd's, which goes on to listen.
    EXPECT_TRUE(fs::is_socket(control_));
}

TEST_F(ServiceTest, RefusesWhatItCannotListenOn)
{
    const UniqueFd null{::dup(STDIN_FILENO)};
    Process::Start how =
        start("LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 2>&1");
    how.descriptors = {null.get()};
    Process daemon{how};
    std::string line;
    std::getline(*stream_of(daemon.output()), line);
    EXPECT_EQ(line,
              "ipideferd: descriptor 3 of systemd's is no socket that listens");
    EXPECT_EQ(daemon.wait(), 1);
}

TEST_F(ServiceTest, JournalGetsFields)
{
    if (::geteuid() != 0)
        GTEST_SKIP()
            << "a journal of its own takes a mount namespace, and root";
    const fs::path path = folder_.path() / "journal";
    Mailbox journal{path};
    // The socket lies where the library looks for it, for this process only;
    // and standard error is what systemd says it is.
    Process::Start how = start(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && "
        ": >/run/systemd/journal/socket && "
        "mount --bind \"$JOURNAL\" /run/systemd/journal/socket && "
        "exec 2>>\"$JOURNAL.stderr\" && "
        "JOURNAL_STREAM=$(stat -L -c %d:%i \"$JOURNAL.stderr\") "
        "exec \"$0\" \"$@\"");
    how.environment = {"JOURNAL=" + path.string()};
    how.arguments.insert(how.arguments.begin(), {"-m", how.program.string()});
    how.program = "/usr/bin/unshare";
    Process daemon{how};
    const auto said = stream_of(daemon.output());
    std::string line;
    while (line != "ready")
        ASSERT_TRUE(std::getline(*said, line)) << "unshare or mount failed";
    const segment::test::TestVm vm{segments_.path(), "web"};
    (void)ask(R"({"command":"policy","vm":"web","policy":{"enabled":"off"}})");
    const std::string entry = journal.with("IPIDEFER_VM=web\n");
    EXPECT_NE(entry.find("IPIDEFER_BY=control uid=0"), std::string::npos)
        << entry;
    EXPECT_NE(entry.find("\"changes\":[\"enabled on -> off\"]"),
              std::string::npos);
    EXPECT_NE(entry.find("SYSLOG_IDENTIFIER=ipideferd\n"), std::string::npos);
    EXPECT_EQ(fs::file_size(path.string() + ".stderr"), 0u);
}

}  // namespace
}  // namespace ipidefer::daemon
