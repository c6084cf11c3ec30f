// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon as a process: scrapes, control, reload, VMs that come and go.
// Everything is waited for by its effect, within a minute.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/process.hpp"
#include "host/daemon/exposition_testing.hpp"
#include "host/segment/tests/test_vm.hpp"
#include "vmm/shm/tests/temporary_folder.hpp"

namespace ipidefer::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using nlohmann::json;
using segment::test::kSyncCore;
using segment::test::TestVm;
using test::Exposition;

constexpr auto kPatience = std::chrono::seconds{60};

/// ipideferd, with what it prints.
class Daemon {
  public:
    explicit Daemon(const std::string& config) : Daemon{start(config)} {}
    explicit Daemon(const Process::Start& start)
        : process_{start}, said_{stream_of(process_.output())}
    {
    }
    static Process::Start start(const std::string& config)
    {
        return {.program = IPIDEFERD,
                .arguments = {"--config", config},
                .piped = true};
    }

    /// The next line that is no remark; "" at the end.
    std::string line()
    {
        std::string line;
        while (std::getline(*said_, line))
            if (!line.starts_with("ipideferd: ") && !line.starts_with('{'))
                return line;
        return "";
    }
    void signal(int number) { process_.signal(number); }
    /// @return its exit status
    int wait() { return process_.wait(); }

  private:
    Process process_;
    std::unique_ptr<std::istream> said_;
};

/// Who follows the page's events.
class Follower {
  public:
    void ask(std::uint16_t port)
    {
        socket_.connect({asio::ip::make_address("127.0.0.1"), port});
        asio::write(socket_, asio::buffer(std::string{
                                 "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"}));
    }
    /// Whether it is answered with this, before an end or another answer.
    bool reads(const std::string& text)
    {
        std::string got;
        boost::system::error_code error;
        asio::read_until(socket_, asio::dynamic_buffer(got), "\r\n", error);
        if (error || !got.starts_with("HTTP/1.1 200 ")) return false;
        asio::read_until(socket_, asio::dynamic_buffer(got), text, error);
        return !error;
    }

  private:
    asio::io_context io_;
    asio::ip::tcp::socket socket_{io_};
};

class DaemonTest : public ::testing::Test {
  protected:
    void SetUp() override
    {
        configure(json::object());
        daemon_.emplace(file_.string());
        const std::string listening = daemon_->line();
        ASSERT_TRUE(listening.starts_with("listening on 127.0.0.1:"))
            << listening;
        port_ = static_cast<std::uint16_t>(
            std::stoi(listening.substr(listening.rfind(':') + 1)));
        ASSERT_EQ(daemon_->line(), "ready");
    }

    void configure(const json& domains,
                   const std::vector<uid_t>& users = {::geteuid()},
                   const std::vector<uid_t>& may_ask = {})
    {
        std::ofstream{file_} << json{{"listen", "127.0.0.1:0"},
                                     {"control", socket_.string()},
                                     {"shm_dir", folder_.path().string()},
                                     {"audit_log", audit_.string()},
                                     {"control_users", users},
                                     {"status_users", may_ask},
                                     {"libvirt_uri", uri_},
                                     {"domains", domains}};
    }

    http::response<http::string_body> get(const std::string& target,
                                          http::verb verb = http::verb::get)
    {
        asio::io_context io;
        asio::ip::tcp::socket socket{io};
        socket.connect({asio::ip::make_address("127.0.0.1"), port_});
        http::request<http::empty_body> request{verb, target, 11};
        request.set(http::field::host, "localhost");
        request.keep_alive(false);
        http::write(socket, request);
        beast::flat_buffer buffer;
        http::response<http::string_body> response;
        http::read(socket, buffer, response);
        return response;
    }
    Exposition scrape() { return Exposition{get("/metrics").body()}; }

    json ask(const json& request) { return ask_text(request.dump()); }
    json ask_text(const std::string& request)
    {
        asio::io_context io;
        asio::local::stream_protocol::socket socket{io};
        socket.connect(
            asio::local::stream_protocol::endpoint{socket_.string()});
        asio::write(socket, asio::buffer(request + '\n'));
        std::string answer;
        asio::read_until(socket, asio::dynamic_buffer(answer), '\n');
        return json::parse(answer);
    }

    /// Asked by another user. "" when there is no answer.
    std::string ask_as(uid_t user, const std::string& request)
    {
        int ends[2];
        if (::pipe(ends) != 0) return "";
        const pid_t child = ::fork();
        if (child == 0) {
            sockaddr_un at{};
            at.sun_family = AF_UNIX;
            std::snprintf(at.sun_path, sizeof at.sun_path, "%s",
                          socket_.c_str());
            const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
            ::signal(SIGPIPE, SIG_IGN);
            char text[4096];
            if (::setuid(user) != 0 ||
                ::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0)
                ::_exit(1);
            // Refused at once, it may be too late to write.
            (void)!::write(fd, request.data(), request.size());
            (void)!::write(fd, "\n", 1);
            const ssize_t got = ::read(fd, text, sizeof text);
            if (got > 0) (void)!::write(ends[1], text, std::size_t(got));
            ::_exit(0);
        }
        ::close(ends[1]);
        std::string answer;
        char text[4096];
        for (ssize_t got; (got = ::read(ends[0], text, sizeof text)) > 0;)
            answer.append(text, static_cast<std::size_t>(got));
        ::close(ends[0]);
        ::waitpid(child, nullptr, 0);
        return answer;
    }

    /// Until it holds; a test that waits in vain fails by what it then checks.
    static bool eventually(const std::function<bool()>& holds)
    {
        const auto end = std::chrono::steady_clock::now() + kPatience;
        while (std::chrono::steady_clock::now() < end) {
            if (holds()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        return false;
    }
    bool eventually_sees(double domains)
    {
        return eventually(
            [&] { return scrape().value("ipidefer_domains") == domains; });
    }

    std::string uri_;  // of libvirt
    shm::test::TemporaryFolder folder_;
    shm::test::TemporaryFolder own_;
    std::filesystem::path file_ = own_.path() / "config";
    std::filesystem::path socket_ = own_.path() / "control";
    std::filesystem::path audit_ = own_.path() / "audit";
    std::optional<Daemon> daemon_;
    std::uint16_t port_ = 0;
};

TEST_F(DaemonTest, ScrapeShowsVmsThatComeAndGo)
{
    EXPECT_TRUE(eventually_sees(0));
    std::optional<TestVm> vm{std::in_place, folder_.path(), "web"};
    vm->send(0, kSyncCore, {2});
    EXPECT_TRUE(eventually_sees(1));
    EXPECT_EQ(scrape().value("ipidefer_ipis_total{domain=\"web\",vcpu=\"2\","
                             "vector=\"sync_core\",verdict=\"deferred\","
                             "reason=\"\"}"),
              1);
    vm.reset();
    EXPECT_TRUE(eventually_sees(0));
}

TEST_F(DaemonTest, NameThatIsNotUtf8DoesNotSpoilTheScrape)
{
    const TestVm bad{folder_.path(),
                     "b\xff"
                     "d"};
    const TestVm good{folder_.path(), "web"};
    EXPECT_TRUE(eventually_sees(2));
    EXPECT_TRUE(scrape().has("ipidefer_domain_enabled{domain=\"b%FFd\"}"));
    const auto answer = ask({{"command", "policy"},
                             {"vm", "b%FFd"},
                             {"policy", {{"enabled", "off"}}}});
    EXPECT_EQ(answer["changes"], (std::vector<json>{"enabled on -> off"}));
    EXPECT_FALSE(ipidefer_enabled(bad.vm()));
}

TEST_F(DaemonTest, SegmentThatIsTruncatedMeanwhileDoesNotEndIt)
{
    const TestVm good{folder_.path(), "web"};
    ASSERT_EQ(ipidefer_shm_guard(nullptr), 0);
    const TestVm vm{folder_.path(), "cut"};
    EXPECT_TRUE(eventually_sees(2));
    std::filesystem::resize_file(folder_.path() / vm.file(), 0);
    EXPECT_TRUE(eventually_sees(1));
    EXPECT_EQ(scrape().value("ipidefer_broken_segments"), 1);
    EXPECT_EQ(get("/healthz").body(), "ok\n");
}

TEST_F(DaemonTest, AnotherUsersFileIsNoVm)
{
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make another user's file";
    std::filesystem::permissions(folder_.path(), std::filesystem::perms{01777});
    const TestVm vm{folder_.path(), "web"};
    const auto file = folder_.path() / "ipidefer.evil~00000001";
    std::filesystem::copy_file(folder_.path() / vm.file(), file);
    ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
    EXPECT_TRUE(eventually([&] {
        const auto now = scrape();
        return now.value("ipidefer_domains") == 1 &&
               now.value("ipidefer_segments_left_out") == 1;
    }));
}

TEST_F(DaemonTest, UsersOutsideRootsGroupMayDoWhatTheConfigurationSays)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root can ask as another user";
    constexpr uid_t kUser = 65534;
    std::filesystem::permissions(own_.path(), std::filesystem::perms{0755});
    const TestVm vm{folder_.path(), "web"};
    EXPECT_TRUE(eventually_sees(1));
    const std::string off =
        R"({"command":"policy","vm":"web","policy":{"enabled":"off"}})";
    const std::string status = R"({"command":"status"})";
    EXPECT_EQ(ask_as(kUser, status),
              "{\"error\":\"user 65534 is in neither control_users nor "
              "status_users\"}\n");
    configure(json::object(), {0}, {kUser});
    daemon_->signal(SIGHUP);
    EXPECT_TRUE(eventually(
        [&] { return ask_as(kUser, status).starts_with("{\"vms\":"); }));
    EXPECT_EQ(ask_as(kUser, off),
              "{\"error\":\"user 65534 may not change anything\"}\n");
    EXPECT_TRUE(ipidefer_enabled(vm.vm()));
    configure(json::object(), {0, kUser});
    daemon_->signal(SIGHUP);
    EXPECT_TRUE(eventually([&] {
        return ask_as(kUser, off) == "{\"changes\":[\"enabled on -> off\"]}\n";
    }));
    EXPECT_FALSE(ipidefer_enabled(vm.vm()));
}

TEST_F(DaemonTest, AuditLogThatWasRotatedIsMadeAnew)
{
    const TestVm vm{folder_.path(), "web"};
    EXPECT_TRUE(eventually_sees(1));
    const auto off_and_on = [&] {
        for (const char* state : {"off", "on"})
            (void)ask({{"command", "policy"},
                       {"vm", "web"},
                       {"policy", {{"enabled", state}}}});
    };
    off_and_on();
    const auto lines = [](const std::filesystem::path& file) {
        std::ifstream in{file};
        return std::count(std::istreambuf_iterator<char>{in}, {}, '\n');
    };
    const auto moved = own_.path() / "audit.1";
    std::filesystem::rename(audit_, moved);
    daemon_->signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(audit_); }));
    off_and_on();
    EXPECT_EQ(lines(moved), 2);
    EXPECT_EQ(lines(audit_), 2);
}

TEST_F(DaemonTest, VmThatIsKilledIsForgotten)
{
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const TestVm vm{folder_.path(), "victim"};
        if (::write(ready[1], "x", 1) != 1) ::_exit(1);
        ::pause();
        ::_exit(0);
    }
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_TRUE(eventually_sees(1));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_TRUE(eventually_sees(0));
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_F(DaemonTest, OtherRequestsAreRefusedByStatus)
{
    EXPECT_EQ(get("/healthz").body(), "ok\n");
    EXPECT_EQ(get("/other").result(), http::status::not_found);
    EXPECT_EQ(get("/metrics", http::verb::post).result(),
              http::status::method_not_allowed);
    EXPECT_EQ(get("/metrics?x=1").result(), http::status::ok);
    EXPECT_EQ(get("/metrics")[http::field::content_type],
              "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(DaemonTest, PageIsForPeopleAndItsEventsFollow)
{
    const TestVm vm{folder_.path(), "<b>web"};
    EXPECT_TRUE(eventually_sees(1));
    const auto page = get("/");
    EXPECT_EQ(page.result(), http::status::ok);
    EXPECT_EQ(page[http::field::content_type], "text/html; charset=utf-8");
    EXPECT_NE(page.body().find("<th scope=row>&lt;b&gt;web"), std::string::npos)
        << page.body();
    // Its script is the one that the policy lets run.
    const std::string policy{page["Content-Security-Policy"]};
    const std::string begin = "script-src 'nonce-";
    const std::string nonce =
        policy.substr(policy.find(begin) + begin.size(), 32);
    EXPECT_NE(page.body().find("<script nonce=\"" + nonce + "\">"),
              std::string::npos);

    // More than may follow: others are told so, and later ones are served.
    std::vector<Follower> followers(9);
    for (Follower& follower : followers) follower.ask(port_);
    unsigned follow = 0;
    for (Follower& follower : followers)
        if (follower.reads("data: <h2>What is wrong")) ++follow;
    EXPECT_EQ(follow, 8u);
    followers.clear();
    EXPECT_TRUE(eventually([&] {
        Follower later;
        later.ask(port_);
        return later.reads("&lt;b&gt;web");
    }));
}

TEST_F(DaemonTest, ClientThatSendsNothingHoldsNobodyUp)
{
    asio::io_context io;
    std::vector<asio::ip::tcp::socket> silent;
    for (int i = 0; i < 20; ++i) {
        silent.emplace_back(io);
        silent.back().connect({asio::ip::make_address("127.0.0.1"), port_});
    }
    asio::write(silent.front(), asio::buffer("GET /metr", 9));
    EXPECT_EQ(get("/healthz").body(), "ok\n");
}

TEST_F(DaemonTest, ConnectionsAboveTheLimitAreClosedAndLaterOnesServed)
{
    asio::io_context io;
    {
        std::vector<asio::ip::tcp::socket> many;
        for (int i = 0; i < 100; ++i) {
            many.emplace_back(io);
            many.back().connect({asio::ip::make_address("127.0.0.1"), port_});
        }
        // One above the limit is closed at once.
        char byte = 0;
        boost::system::error_code error;
        many.back().read_some(asio::buffer(&byte, 1), error);
        EXPECT_TRUE(error);
    }
    EXPECT_TRUE(eventually([&] {
        try {
            return get("/healthz").body() == "ok\n";
        } catch (const boost::system::system_error&) {
            return false;
        }
    }));
}

TEST_F(DaemonTest, GarbageOverHttpEndsTheConnectionOnly)
{
    asio::io_context io;
    asio::ip::tcp::socket socket{io};
    socket.connect({asio::ip::make_address("127.0.0.1"), port_});
    boost::system::error_code error;
    asio::write(socket, asio::buffer(std::string(100'000, 'x')), error);
    EXPECT_EQ(get("/healthz").body(), "ok\n");
}

TEST_F(DaemonTest, ControlChangesAPolicyAndTheAuditNamesTheUser)
{
    const TestVm vm{folder_.path(), "web"};
    const json answer = ask({{"command", "policy"},
                             {"vm", "web"},
                             {"policy", {{"enabled", "off"}}}});
    EXPECT_EQ(answer, (json{{"changes", {"enabled on -> off"}}}));
    EXPECT_FALSE(ipidefer_enabled(vm.vm()));
    // The VM's own first settings may be in the log too, if the daemon was
    // there before them.
    std::ifstream log{audit_};
    std::vector<json> by;
    for (std::string line; std::getline(log, line);)
        if (const json entry = json::parse(line);
            entry["changes"] == json::array({"enabled on -> off"}))
            by.push_back(entry["by"]);
    EXPECT_EQ(by,
              std::vector<json>{"control uid=" + std::to_string(::geteuid()) +
                                " pid=" + std::to_string(::getpid())});
}

TEST_F(DaemonTest, ControlSaysWhatIsWrong)
{
    for (const char* request :
         {"", "x", "[]", "{}", R"({"command": 1})", R"({"command": "x"})",
          R"({"command": "policy"})",
          R"({"command": "policy", "vm": "none", "policy": {}})",
          R"({"command": "policy", "vm": "none", "policy": {"x": 1}})"})
        EXPECT_TRUE(ask_text(request).contains("error")) << request;
    EXPECT_TRUE(ask({{"command", "status"}}).contains("vms"));
}

TEST_F(DaemonTest, RequestThatIsNestedTooDeeplyIsRefused)
{
    // As deep as a line can be.
    constexpr std::size_t kDepth = 32'000;
    const auto request = [](const std::string& value) {
        return R"({"command": "policy", "vm": "web", "policy": )" + value + '}';
    };
    EXPECT_EQ(
        ask_text(request(std::string(kDepth, '[') + std::string(kDepth, ']'))),
        (json{{"error", "JSON: it is nested 32001 deep, the most is 64"}}));
    EXPECT_TRUE(ask({{"command", "status"}}).contains("vms"));
}

TEST_F(DaemonTest, OnlyConfiguredUsersMayChange)
{
    const TestVm vm{folder_.path(), "web"};
    configure(json::object(), {::geteuid() + 1});
    daemon_->signal(SIGHUP);
    const json request{
        {"command", "policy"}, {"vm", "web"}, {"policy", {{"enabled", "off"}}}};
    // Until the reload the answer is another one.
    EXPECT_TRUE(eventually([&] { return ask(request).contains("error"); }));
    ipidefer_set_enabled(vm.vm(), true);
    EXPECT_TRUE(ask(request).contains("error"));
    EXPECT_TRUE(ipidefer_enabled(vm.vm()));
    EXPECT_TRUE(ask({{"command", "status"}}).contains("vms"));
}

TEST_F(DaemonTest, ReloadAppliesPoliciesAndABrokenFileKeepsTheOld)
{
    const TestVm vm{folder_.path(), "web"};
    configure({{"web", {{"isolated", "1"}}}});
    daemon_->signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return ipidefer_isolated(vm.vm(), 1); }));
    std::ofstream{file_} << "broken";
    EXPECT_TRUE(ask({{"command", "reload"}}).contains("error"));
    EXPECT_TRUE(ipidefer_isolated(vm.vm(), 1));
    EXPECT_EQ(get("/healthz").body(), "ok\n");
}

TEST_F(DaemonTest, EndsInOrderOnRequest)
{
    daemon_->signal(SIGTERM);
    EXPECT_EQ(daemon_->wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(socket_));
}

#ifdef IPIDEFER_HAS_LIBVIRT
/// libvirt's own driver for tests has a domain of this name and UUID, that
/// runs.
class DaemonLibvirtTest : public DaemonTest {
  protected:
    DaemonLibvirtTest() { uri_ = "test:///default"; }

    const std::string uuid_ = "6695eb01-f6a4-8304-79aa-97f2502e193f";
};

TEST_F(DaemonLibvirtTest, VmsAreKnownByTheirDomain)
{
    const TestVm vm{folder_.path(), "test"};
    const TestVm other{folder_.path(), "other"};
    const std::string info =
        "ipidefer_domain_info{domain=\"test\",name=\"test\",uuid=\"" + uuid_ +
        "\"}";
    EXPECT_TRUE(eventually([&] { return scrape().has(info); }));
    EXPECT_EQ(scrape().sum("ipidefer_domain_info{"), 1);
    EXPECT_EQ(scrape().value("ipidefer_libvirt_connected"), 1);
    const json status = ask({{"command", "status"}});
    for (const json& one : status["vms"])
        EXPECT_EQ(one.contains("libvirt"), one["name"] == "test");
}

TEST_F(DaemonLibvirtTest, EndsInOrderOnRequest)
{
    daemon_->signal(SIGTERM);
    EXPECT_EQ(daemon_->wait(), 0);
}

class DaemonWithoutLibvirtdTest : public DaemonTest {
  protected:
    DaemonWithoutLibvirtdTest()
    {
        uri_ = "qemu+unix:///system?socket=/nonexistent/socket";
    }
};

TEST_F(DaemonWithoutLibvirtdTest, EverythingElseWorks)
{
    const TestVm vm{folder_.path(), "test"};
    EXPECT_TRUE(eventually_sees(1));
    EXPECT_EQ(scrape().value("ipidefer_libvirt_connected"), 0);
    daemon_->signal(SIGTERM);
    EXPECT_EQ(daemon_->wait(), 0);
}
#endif

TEST(DaemonStart, WithoutAConfigurationItCannotRun)
{
    Daemon daemon{"/nonexistent/config"};
    EXPECT_EQ(daemon.wait(), 1);
}

}  // namespace
}  // namespace ipidefer::daemon
