// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/machine.hpp"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/process.hpp"
#include "experiments/lab/box.hpp"
#include "experiments/lab/console.hpp"
#include "experiments/lab/guest_channel.hpp"
#include "experiments/lab/protocol.hpp"
#include "experiments/lab/qemu_command.hpp"
#include "experiments/lab/qmp_client.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using nlohmann::json;
using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

/// What follows a defect on the console belongs to it.
constexpr auto kAfterDefect = 1500ms;
/// For what QEMU wrote before it ended.
constexpr auto kDrain = 1s;
/// How often to look at QEMU's threads, and whether the guest's time is over.
/// Of the time between two looks no more than twice this counts: a lab that was
/// stopped or starved itself has not waited for the guest.
constexpr auto kSample = 500ms;

/// Something that happens at most once, and can be waited for.
class Once {
  public:
    explicit Once(const asio::any_io_executor& executor)
        : timer_{executor, asio::steady_timer::time_point::max()}
    {
    }

    void set()
    {
        is_set_ = true;
        timer_.cancel();
    }
    [[nodiscard]] bool is_set() const { return is_set_; }

    /// Returns also when the waiting itself is cancelled.
    asio::awaitable<void> wait()
    {
        if (is_set_) co_return;
        boost::system::error_code ignored;
        co_await timer_.async_wait(
            asio::redirect_error(asio::use_awaitable, ignored));
    }

  private:
    asio::steady_timer timer_;
    bool is_set_ = false;
};

}  // namespace

asio::awaitable<void> sleep_for(std::chrono::milliseconds time)
{
    asio::steady_timer timer{co_await asio::this_coro::executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

/// Shared with the coroutines that watch, which may outlive the Machine by one
/// turn of the event loop.
struct Machine::State : std::enable_shared_from_this<State> {
    State(const asio::any_io_executor& on, const MachineSpec& given)
        : executor{on},
          spec{given},
          console{given.logs / "console.log"},
          console_at{on,
                     stream_protocol::endpoint{
                         (given.sockets / kConsoleSocket).string()}},
          guest_at{on,
                   stream_protocol::endpoint{
                       (given.sockets / kGuestSocket).string()}},
          qmp_at{
              on,
              stream_protocol::endpoint{(given.sockets / kQmpSocket).string()}},
          console_socket{on},
          child_ends{on},
          console_ended{on},
          ended{on},
          failed{on},
          stopping{on}
    {
    }

    void start()
    {
        // Not even a killed lab leaves a guest behind, and Ctrl-C is for the
        // lab alone.
        child.emplace(Process::Start{.program = spec.qemu,
                                     .arguments = spec.arguments,
                                     .log = spec.logs / "qemu.log",
                                     .bound_to_us = true});
        child_ends.assign(::fcntl(child->pidfd(), F_DUPFD_CLOEXEC, 0));
        host.watch("QEMU's main thread", child->pid(), child->pid());
        host.watch_copies(kBoxHostTimes);
        const auto self = shared_from_this();
        asio::co_spawn(
            executor, [self] { return self->watch_process(); }, asio::detached);
        asio::co_spawn(
            executor, [self] { return self->watch_patience(); },
            asio::detached);
    }

    void stop()
    {
        stopping.set();
        boost::system::error_code ignored;
        console_at.close(ignored);
        guest_at.close(ignored);
        qmp_at.close(ignored);
        console_socket.close(ignored);
        if (guest) guest->close();
        if (qmp) qmp->close();
        child_ends.close(ignored);
        // Its end is waited for: what it left behind is removed next.
        if (!child) return;
        child->signal(SIGKILL);
        (void)child->wait();
    }

    /// @tparam Why Failure, or what is derived from it
    template <typename Why>
    void fail(Why why)
    {
        if (failed.is_set() || stopping.is_set()) return;
        failure = std::make_exception_ptr(std::move(why));
        failed.set();
    }

    void fail_on_console(const std::string& what)
    {
        const std::string why = (console.defect() ? *console.defect() : what) +
                                " (while " + doing + ')';
        if (console.late())
            if (auto found = excuse(*console.late(), host.time(), noticed_at,
                                    spec.emulated_host)) {
                fail_starved(std::move(*found), why);
                return;
            }
        fail(Failure{Exit::kDefect, why, console.tail()});
    }

    void fail_starved(Starvation found, const std::string& why)
    {
        const auto seconds =
            std::chrono::round<std::chrono::seconds>(found.lost);
        const std::string what = "the host starved " + found.thread + " for " +
                                 std::to_string(seconds.count()) +
                                 " s, no verdict: " + why;
        fail(HostStarved{std::move(found), what, console.tail()});
    }

    /// The guest, or QEMU, has said something.
    void sign_of_life() { silent = {}; }

    asio::awaitable<void> watch_console()
    {
        std::array<char, 4096> chunk;
        boost::system::error_code error;
        bool noticed = false;
        for (;;) {
            const std::size_t got = co_await console_socket.async_read_some(
                asio::buffer(chunk),
                asio::redirect_error(asio::use_awaitable, error));
            if (error) break;
            sign_of_life();
            console.feed({chunk.data(), got});
            if (console.defect() && !noticed) {
                noticed = true;
                host.sample();
                noticed_at = HostTime::Clock::now();
                asio::co_spawn(
                    executor,
                    [self = shared_from_this()]() -> asio::awaitable<void> {
                        co_await (sleep_for(kAfterDefect) ||
                                  self->console_ended.wait() ||
                                  self->stopping.wait());
                        self->fail_on_console("");
                    },
                    asio::detached);
            }
        }
        console_ended.set();
    }

    asio::awaitable<void> watch_process()
    {
        boost::system::error_code ignored;
        co_await child_ends.async_wait(
            asio::posix::descriptor_base::wait_read,
            asio::redirect_error(asio::use_awaitable, ignored));
        if (stopping.is_set()) co_return;
        if (connected)
            co_await (console_ended.wait() || sleep_for(kDrain) ||
                      stopping.wait());
        ended.set();
        if (stopping.is_set() || (powering_off && !console.defect())) co_return;
        const std::string status =
            "QEMU ended with status " + std::to_string(child->wait());
        const std::string said = read_whole(spec.logs / "qemu.log");
        // Until it runs the guest, it is QEMU that does not like something.
        if (!running)
            fail(Failure{Exit::kCannotRun, status, said});
        else
            fail_on_console(said.empty() ? status : status + ": " + said);
    }

    asio::awaitable<void> watch_patience()
    {
        auto last = HostTime::Clock::now();
        while (silent < spec.patience) {
            co_await (sleep_for(kSample) || stopping.wait() || ended.wait());
            if (stopping.is_set() || ended.is_set()) co_return;
            host.sample();
            const auto now = HostTime::Clock::now();
            silent +=
                std::min<HostTime::Clock::duration>(now - last, 2 * kSample);
            last = now;
        }
        const std::string why = "no sign of life from the guest for " +
                                std::to_string(spec.patience.count()) +
                                " seconds (--timeout)";
        if (auto found = host.time().starvation(last, spec.patience,
                                                HostTime::Share::kNearlyAll);
            found && !console.defect())
            fail_starved(std::move(*found), why + " (while " + doing + ')');
        else
            fail_on_console(why);
    }

    /// Which of QEMU's threads are the vCPUs.
    asio::awaitable<void> find_vcpus()
    {
        const auto vcpus = co_await qmp->execute("query-cpus-fast");
        if (!vcpus) co_return;
        for (const auto& vcpu : *vcpus)
            host.watch("vCPU " + vcpu.at("cpu-index").dump(), child->pid(),
                       vcpu.at("thread-id").get<pid_t>());
    }

    asio::awaitable<json> connect_all()
    {
        console_socket = co_await console_at.async_accept(asio::use_awaitable);
        connected = true;
        asio::co_spawn(
            executor,
            [self = shared_from_this()] { return self->watch_console(); },
            asio::detached);
        guest.emplace(co_await guest_at.async_accept(asio::use_awaitable));
        qmp.emplace(co_await qmp_at.async_accept(asio::use_awaitable));
        json version = co_await qmp->negotiate();
        co_await find_vcpus();
        running = true;
        co_return version;
    }

    /// Any operation, unless something goes wrong first.
    asio::awaitable<json> guarded(asio::awaitable<json> operation,
                                  std::string what)
    {
        doing = std::move(what);
        // When the operation throws because a connection broke, this goes on
        // to wait for the reason to show.
        auto result = co_await (std::move(operation) || failed.wait());
        if (failure) std::rethrow_exception(failure);
        sign_of_life();
        // Cancelled from outside: nothing failed, and there is no answer.
        if (result.index() != 0)
            throw boost::system::system_error{asio::error::operation_aborted};
        co_return std::get<0>(std::move(result));
    }

    asio::any_io_executor executor;
    MachineSpec spec;
    Console console;
    stream_protocol::acceptor console_at;
    stream_protocol::acceptor guest_at;
    stream_protocol::acceptor qmp_at;
    stream_protocol::socket console_socket;
    std::optional<GuestChannel> guest;
    std::optional<QmpClient> qmp;
    std::optional<Process> child;
    asio::posix::stream_descriptor child_ends;
    Once console_ended;
    Once ended;
    Once failed;
    Once stopping;
    std::exception_ptr failure;
    ProcessTime host;
    HostTime::Clock::duration silent{};
    HostTime::Clock::time_point noticed_at;
    std::string doing = "starting QEMU";
    bool connected = false;
    bool running = false;
    bool powering_off = false;
};

Machine::Machine(const asio::any_io_executor& executor, const MachineSpec& spec)
    : state_{std::make_shared<State>(executor, spec)}
{
    state_->start();
}

Machine::~Machine() { state_->stop(); }

pid_t Machine::pid() const { return state_->child->pid(); }

asio::awaitable<std::string> Machine::connect()
{
    const json version =
        co_await state_->guarded(state_->connect_all(), "starting QEMU");
    co_return version.get<std::string>();
}

asio::awaitable<json> Machine::boot()
{
    co_return co_await state_->guarded(state_->guest->ready(),
                                       "booting the guest");
}

asio::awaitable<json> Machine::ask_guest(json request, std::string doing)
{
    // Not within the co_await: GCC 12 destroys such a temporary twice.
    std::function<void()> alive = [state = state_.get()] {
        state->sign_of_life();
    };
    auto asking = state_->guest->ask(std::move(request), std::move(alive));
    co_return co_await state_->guarded(std::move(asking), std::move(doing));
}

asio::awaitable<std::optional<json>> Machine::ask_vmm(std::string command,
                                                      json arguments)
{
    // An error is an answer too: null, which no command returns.
    const auto execute = [](QmpClient& qmp, std::string what,
                            json with) -> asio::awaitable<json> {
        auto answer = co_await qmp.execute(std::move(what), std::move(with));
        co_return answer ? std::move(*answer) : json(nullptr);
    };
    json answer = co_await state_->guarded(
        execute(*state_->qmp, command, std::move(arguments)),
        "asking QEMU: " + command);
    if (answer.is_null()) co_return std::nullopt;
    co_return answer;
}

asio::awaitable<void> Machine::power_off()
{
    state_->powering_off = true;
    const auto leave = [](State& state) -> asio::awaitable<json> {
        json request{{protocol::kCommand, protocol::kPowerOff}};
        co_await state.guest->tell(std::move(request));
        co_await state.ended.wait();
        co_return true;
    };
    (void)co_await state_->guarded(leave(*state_), "switching the guest off");
}

}  // namespace ipidefer::lab
