// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/daemon.hpp"

#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/await.hpp"
#include "base/failure.hpp"
#include "base/json_reader.hpp"
#include "base/json_writer.hpp"
#include "host/daemon/audit.hpp"
#include "host/daemon/config.hpp"
#include "host/daemon/control.hpp"
#include "host/daemon/fleet.hpp"
#include "host/daemon/http.hpp"
#include "host/daemon/metrics.hpp"
#include "host/daemon/service.hpp"
#include "host/segment/status_json.hpp"
#ifdef IPIDEFER_HAS_LIBVIRT
#include "host/domain/domain.hpp"
#include "host/libvirt/domain_watch.hpp"
#endif

namespace ipidefer::daemon {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using local = asio::local::stream_protocol;

/// For what inotify does not tell: VMMs that die, policies that others change.
constexpr auto kSweep = std::chrono::seconds{1};
/// Everybody may connect: who it is decides what is answered (control.hpp).
constexpr mode_t kControlMode = 0666;

class Daemon {
  public:
    explicit Daemon(std::filesystem::path file)
        : file_{std::move(file)},
          config_{read_config(file_)},
          audit_{config_.audit_log},
          fleet_{config_.place, config_.limits, audit_},
          folder_{io_},
          signals_{io_, SIGTERM, SIGINT},
          reload_{io_, SIGHUP}
    {
        watch();
        listen();
        fleet_.refresh(config_);
    }

    ~Daemon()
    {
        std::error_code ignored;
        if (!own_control_.empty())
            std::filesystem::remove(own_control_, ignored);
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    void run()
    {
        spawn(follow_folder());
        spawn(sweep());
        spawn(follow_reload());
        if (http_)
            spawn(serve_http(
                *http_, [this] { return metrics(); },
                [this] { return snapshot(); }));
        if (control_)
            spawn(serve_control(
                *control_, [this](const Peer& peer) { return refusal(peer); },
                [this](const std::string& line, const Peer& peer) {
                    return answer(line, peer);
                }));
        follow_libvirt();
        signals_.async_wait([this](const auto&, int) {
            Service::stopping();
            io_.stop();
        });
        std::cout << "ready" << std::endl;
        Service::ready();
        io_.run();
    }

  private:
    void spawn(asio::awaitable<void> task)
    {
        asio::co_spawn(io_, std::move(task),
                       [](const std::exception_ptr& error) {
                           // Out of io_.run(): a part of us that ended is worse
                           // than a restart.
                           if (error) std::rethrow_exception(error);
                       });
    }

    void watch()
    {
        const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (fd < 0)
            throw Failure{Exit::kCannotRun,
                          std::string{"inotify: "} + std::strerror(errno)};
        folder_.assign(fd);
        watch_folders();
        // Later ones may come; this one must be there.
        if (!config_.place.directory.empty() && watched_.empty())
            throw Failure{Exit::kCannotRun,
                          "cannot watch '" + config_.place.directory.string() +
                              "': " + trouble_};
    }

    /// Folders of owners who start their first VM come later: each look looks
    /// for them.
    void watch_folders()
    try {
        for (const auto& path : segment::folders_of(config_.place)) {
            // The same watch again for the same folder.
            const int watch =
                ::inotify_add_watch(folder_.native_handle(), path.c_str(),
                                    IN_CREATE | IN_DELETE | IN_MOVED_TO |
                                        IN_MOVED_FROM | IN_ONLYDIR);
            if (watch >= 0) watched_.insert(watch);
        }
    } catch (const Failure& failure) {
        trouble_ = failure.what();
    }

    void look()
    {
        watch_folders();
        fleet_.refresh(config_);
    }

    std::string metrics()
    {
        Scrape scrape{config_.limits, {connected_, fleet_.domains()}};
        fleet_.each_status(
            [&scrape](const segment::VmStatus& vm) { scrape.add(vm); });
        for (const auto& [vm, why] : scrape.missing())
            if (!missing_.contains(vm))
                Audit::note("metrics of VM '" + vm + "' are " + why);
        missing_ = scrape.missing();
        return scrape.text({fleet_.broken().size(), fleet_.left_out(),
                            audit_.kept(), audit_.lost()});
    }

    /// For the page.
    Snapshot snapshot()
    {
        Snapshot snapshot;
        fleet_.each_status([&](const segment::VmStatus& vm) {
            const auto domain = fleet_.domains().find(vm.name);
            snapshot.add(vm, domain == fleet_.domains().end()
                                 ? std::nullopt
                                 : std::optional{domain->second});
        });
        snapshot.broken = fleet_.broken();
        snapshot.left_out = fleet_.left_out();
        snapshot.audit_kept = audit_.kept();
        snapshot.audit_lost = audit_.lost();
        snapshot.libvirt = connected_;
        return snapshot;
    }

    void listen()
    try {
        // What systemd listens on for us goes before the configuration, which
        // somebody who enabled its sockets has left as it was.
        if (const auto fd = service_.take_metrics()) {
            http_.emplace(io_);
            http_->assign(family_of(*fd), *fd);
        } else if (config_.listen) {
            const tcp::endpoint at{
                asio::ip::make_address(config_.listen_address),
                config_.listen_port};
            http_.emplace(io_, at);
        }
        if (http_)
            std::cout << "listening on " << http_->local_endpoint()
                      << std::endl;
        if (const auto fd = service_.take_control()) {
            control_.emplace(io_);
            control_->assign(local{}, *fd);
            return;
        }
        if (config_.control.empty()) return;
        // Of a daemon that died. One that lives keeps what it has open, and
        // is no longer found.
        if (std::filesystem::is_socket(config_.control))
            std::filesystem::remove(config_.control);
        control_.emplace(io_, local::endpoint{config_.control.string()});
        own_control_ = config_.control;
        if (::chmod(config_.control.c_str(), kControlMode) != 0)
            throw Failure{Exit::kCannotRun, "cannot set the mode of '" +
                                                config_.control.string() + "'"};
    } catch (const std::system_error& error) {
        throw Failure{Exit::kCannotRun,
                      std::string{"cannot listen: "} + error.what()};
    }

    static tcp family_of(int fd)
    {
        return ::sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0 ? tcp::v6()
                                                                : tcp::v4();
    }

    asio::awaitable<void> follow_folder()
    {
        std::array<char, 4096> events;
        for (;;) {
            const auto [error, bytes] =
                co_await folder_.async_read_some(asio::buffer(events), kAwait);
            if (error) co_return;
            // What exactly happened is seen by looking.
            look();
        }
    }

#ifdef IPIDEFER_HAS_LIBVIRT
    void follow_libvirt()
    {
        if (config_.libvirt_uri.empty()) return;
        connected_ = false;
        watch_.emplace(io_.get_executor(), config_.libvirt_uri,
                       libvirt::DomainWatch::Listener{
                           [this](auto domains) { identify(domains); },
                           [this](bool connected) { connected_ = connected; },
                           [](const std::string& text) { Audit::note(text); }},
                       libvirt::DomainWatch::Pauses{});
    }

    void identify(const std::vector<libvirt::ActiveDomain>& active)
    {
        Domains domains;
        for (const auto& [name, uuid, xml] : active) try {
                domains[segment::shown_name(
                    domain::read_domain(xml).segment_name())] = {name, uuid};
            } catch (const Failure& failure) {
                Audit::note("libvirt: domain '" + name +
                            "': " + failure.what());
            }
        const auto tell = [](const Domains& these, const Domains& others,
                             const char* what) {
            for (const auto& [vm, domain] : these)
                if (const auto other = others.find(vm);
                    other == others.end() || !(other->second == domain))
                    Audit::note("libvirt: domain '" + domain.name + "' " +
                                what + ", UUID " + domain.uuid);
        };
        tell(fleet_.domains(), domains, "has ended");
        tell(domains, fleet_.domains(), "runs");
        fleet_.identify(std::move(domains), config_);
        fleet_.refresh(config_);
    }
#else
    void follow_libvirt() const
    {
        if (!config_.libvirt_uri.empty())
            throw Failure{Exit::kCannotRun,
                          "configuration: libvirt_uri: built without libvirt"};
    }
#endif

    asio::awaitable<void> sweep()
    {
        asio::steady_timer timer{io_};
        for (;;) {
            timer.expires_after(kSweep);
            if (const auto [error] = co_await timer.async_wait(kAwait); error)
                co_return;
            look();
            audit_.flush();
            Service::alive();
            tell_status();
        }
    }

    /// For `systemctl status`, when it is another than before.
    void tell_status()
    {
        std::string text = std::to_string(fleet_.size()) + " VMs";
        if (connected_)
            text += *connected_ ? ", libvirt followed" : ", no libvirt";
        if (text == status_) return;
        Service::status(text);
        status_ = text;
    }

    asio::awaitable<void> follow_reload()
    {
        for (;;) {
            if (const auto [error, signal] =
                    co_await reload_.async_wait(kAwait);
                error)
                co_return;
            Service::reloading();
            audit_.reopen();
            try {
                reload();
            } catch (const Failure& failure) {
                Audit::note(std::string{"kept the old configuration: "} +
                            failure.what());
            }
            Service::ready();
        }
    }

    /// Policies and control users; where we listen stays until a restart.
    void reload()
    {
        Config next = read_config(file_);
        config_.domains = std::move(next.domains);
        config_.control_users = std::move(next.control_users);
        config_.status_users = std::move(next.status_users);
        fleet_.apply_all(config_);
        Audit::note("read the configuration again");
    }

    /// Why a user may not even ask; empty: may. Root, and whoever we are, can
    /// see it all anyway.
    std::string refusal(const Peer& peer)
    {
        if (peer.uid == 0 || peer.uid == ::geteuid() ||
            config_.control_users.contains(peer.uid) ||
            config_.status_users.contains(peer.uid))
            return "";
        return json_text(nlohmann::ordered_json{
            {"error", "user " + std::to_string(peer.uid) +
                          " is in neither control_users nor status_users"}});
    }

    std::string answer(const std::string& line, const Peer& peer)
    {
        using Json = nlohmann::ordered_json;
        try {
            const auto request = read_json<Json>(line);
            if (!request.is_object() || !request.contains("command") ||
                !request["command"].is_string())
                throw Failure{Exit::kCannotRun, "expected {\"command\": ...}"};
            const auto command = request["command"].get<std::string>();
            if (command == "status") return json_text(status_json());
            if (command != "policy" && command != "reload")
                throw Failure{Exit::kCannotRun, "there is no such command"};
            if (!config_.control_users.contains(peer.uid))
                throw Failure{Exit::kCannotRun, "user " +
                                                    std::to_string(peer.uid) +
                                                    " may not change anything"};
            if (command == "reload") {
                reload();
                return R"({"reloaded":true})";
            }
            if (!request.contains("vm") || !request["vm"].is_string() ||
                !request.contains("policy"))
                throw Failure{Exit::kCannotRun,
                              "policy needs \"vm\" and \"policy\""};
            fleet_.refresh(config_);
            const auto changes =
                fleet_.change(request["vm"].get<std::string>(),
                              parse_policy(json_text(request["policy"])),
                              "control uid=" + std::to_string(peer.uid) +
                                  " pid=" + std::to_string(peer.pid));
            return json_text(Json{{"changes", changes}});
        } catch (const Failure& failure) {
            return json_text(Json{{"error", failure.what()}});
        }
    }

    nlohmann::ordered_json status_json()
    {
        nlohmann::ordered_json status{{"vms", nlohmann::json::array()},
                                      {"broken", nlohmann::json::object()}};
        fleet_.each_status([&](const segment::VmStatus& vm) {
            auto& one = status["vms"].emplace_back(to_json(vm));
            if (const auto domain = fleet_.domains().find(vm.name);
                domain != fleet_.domains().end())
                one["libvirt"] = {{"name", domain->second.name},
                                  {"uuid", domain->second.uuid}};
        });
        status["left_out"] = fleet_.left_out();
        for (const auto& [name, why] : fleet_.broken())
            status["broken"][name] = why;
        return status;
    }

    std::filesystem::path file_;
    Service service_;
    Config config_;
    Audit audit_;
    Fleet fleet_;
    asio::io_context io_;
    asio::posix::stream_descriptor folder_;
    asio::signal_set signals_;
    asio::signal_set reload_;
    std::optional<tcp::acceptor> http_;
    std::optional<local::acceptor> control_;
    std::filesystem::path own_control_;  // empty: none, or systemd's
    std::string status_;                 // as systemd was told last
    std::optional<bool> connected_;      // to libvirt
    std::set<int> watched_;              // folders, by inotify's number
    std::string trouble_;                // with the folders
    std::map<std::string, std::string> missing_;  // of the last scrape
#ifdef IPIDEFER_HAS_LIBVIRT
    std::optional<libvirt::DomainWatch> watch_;
#endif
};

}  // namespace

void run_daemon(const std::filesystem::path& file) { Daemon{file}.run(); }

}  // namespace ipidefer::daemon
