// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/libvirt/domain_watch.hpp"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/await.hpp"
#include "host/libvirt/connection.hpp"
#include "host/libvirt/event_loop.hpp"
#include "host/libvirt/library.hpp"

namespace ipidefer::libvirt {
namespace {

namespace asio = boost::asio;

/// libvirtd that has said nothing for 5 * 3 seconds is gone.
constexpr int kKeepAliveSeconds = 5;
constexpr unsigned kKeepAlives = 3;
/// How long the end waits for a call that libvirtd does not answer.
constexpr auto kPatience = std::chrono::seconds{2};

}  // namespace

/// All but `stop()`, and what is under the lock, belongs to the thread.
struct DomainWatch::Worker : std::enable_shared_from_this<Worker> {
    Worker(asio::any_io_executor to, std::string at, Listener l, Pauses p)
        : executor{std::move(to)},
          uri{std::move(at)},
          listener{std::move(l)},
          pauses{p},
          io{installed_loop()}
    {
    }

    /// Held while something is posted to the executor, whose io_context may be
    /// gone as soon as we are quiet.
    std::mutex lock;
    std::optional<asio::any_io_executor> executor;  // nothing: quiet

    std::string uri;
    Listener listener;
    Pauses pauses;
    asio::io_context& io;

    std::promise<void> ended;

    asio::steady_timer pause{io};
    ConnectionPtr connection;
    int callback = -1;
    bool stopping = false;
    bool lost = false;     // the connection
    bool changed = false;  // what runs
    std::string trouble;   // said last

    void start()
    {
        std::thread{[self = shared_from_this()] {
            self->io.restart();
            asio::co_spawn(self->io, self->follow(),
                           [self](std::exception_ptr error) {
                               if (error)
                                   self->say("libvirt: not followed any more");
                               self->io.stop();
                           });
            const auto work = asio::make_work_guard(self->io);
            self->io.run();
            // What libvirt wants freed.
            self->io.restart();
            self->io.poll();
            self->ended.set_value();
        }}.detach();
    }

    void stop()
    {
        {
            const std::lock_guard guard{lock};
            executor.reset();
        }
        asio::post(io, [self = shared_from_this()] {
            self->stopping = true;
            self->pause.cancel();
        });
    }

    bool is_quiet()
    {
        const std::lock_guard guard{lock};
        return !executor;
    }

    template <class Function, class... Arguments>
    void tell(Function Listener::*function, Arguments... arguments)
    {
        const std::lock_guard guard{lock};
        if (!executor) return;
        asio::post(*executor, [self = shared_from_this(), function,
                               ... a = std::move(arguments)]() mutable {
            const auto& call = self->listener.*function;
            if (!self->is_quiet() && call) call(std::move(a)...);
        });
    }
    void say(std::string text) { tell(&Listener::note, std::move(text)); }

    asio::awaitable<void> follow()
    {
        auto delay = pauses.first;
        while (!stopping) {
            if (open()) {
                delay = pauses.first;
                tell(&Listener::connected, true);
                while (!stopping && !lost) {
                    if (std::exchange(changed, false)) list();
                    // Callbacks run in this thread, so not just here.
                    if (stopping || lost || changed) continue;
                    pause.expires_at(asio::steady_timer::time_point::max());
                    (void)co_await pause.async_wait(kAwait);
                }
                close();
                tell(&Listener::connected, false);
            }
            if (stopping) break;
            pause.expires_after(delay);
            (void)co_await pause.async_wait(kAwait);
            delay = std::min(delay * 2, pauses.longest);
        }
    }

    bool open()
    try {
        connection = connect(uri);
        lost = false;
        const Library& vir = library();
        // The callbacks end before this: in close().
        if (vir.virConnectRegisterCloseCallback(connection.get(), on_close,
                                                this, nullptr) < 0)
            throw failed("cannot follow the connection");
        callback = vir.virConnectDomainEventRegisterAny(
            connection.get(), nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            VIR_DOMAIN_EVENT_CALLBACK(on_event), this, nullptr);
        if (callback < 0) throw failed("cannot follow domains");
        // Fails for connections that have no libvirtd behind them.
        (void)vir.virConnectSetKeepAlive(connection.get(), kKeepAliveSeconds,
                                         kKeepAlives);
        changed = true;
        trouble.clear();
        say("libvirt: connected");
        return true;
    } catch (const Failure& failure) {
        close();
        // Once, not with every try.
        if (trouble != failure.what())
            say(std::string{"libvirt: "} + failure.what());
        trouble = failure.what();
        return false;
    }

    void close()
    {
        if (connection == nullptr) return;
        const Library& vir = library();
        if (callback >= 0)
            vir.virConnectDomainEventDeregisterAny(connection.get(), callback);
        callback = -1;
        vir.virConnectUnregisterCloseCallback(connection.get(), on_close);
        connection.reset();
    }

    void list()
    try {
        std::vector<ActiveDomain> all;
        for (const DomainPtr& domain : active_domains(connection.get())) try {
                all.push_back({name_of(domain.get()), uuid_of(domain.get()),
                               xml_of(domain.get())});
            } catch (const Failure&) {
                // Ended between the calls, as an event tells.
            }
        tell(&Listener::domains, std::move(all));
    } catch (const Failure& failure) {
        say(std::string{"libvirt: "} + failure.what());
        lost = true;
    }

    static void on_close(virConnectPtr, int, void* self)
    {
        static_cast<Worker*>(self)->wake(&Worker::lost);
    }
    static int on_event(virConnectPtr, virDomainPtr, int, int, void* self)
    {
        static_cast<Worker*>(self)->wake(&Worker::changed);
        return 0;
    }

    void wake(bool Worker::*flag)
    {
        if (flag == &Worker::lost && !lost) say("libvirt: connection lost");
        this->*flag = true;
        pause.cancel();
    }
};

DomainWatch::DomainWatch(asio::any_io_executor executor, std::string uri,
                         Listener listener, Pauses pauses)
    : worker_{std::make_shared<Worker>(std::move(executor), std::move(uri),
                                       std::move(listener), pauses)}
{
    worker_->start();
}

DomainWatch::~DomainWatch()
{
    auto ended = worker_->ended.get_future();
    worker_->stop();
    (void)ended.wait_for(kPatience);
}

}  // namespace ipidefer::libvirt
