// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/libvirt/domain_watch.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "host/libvirt/connection.hpp"
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

/// All but `stop()`, and what is under the lock or atomic, belongs to the
/// thread.
struct DomainWatch::Worker : std::enable_shared_from_this<Worker> {
    Worker(asio::any_io_executor to, std::string at, Listener l, Pauses p)
        : executor{std::move(to)},
          uri{std::move(at)},
          listener{std::move(l)},
          pauses{p},
          vir{library()}
    {
        alarm = vir.virEventAddTimeout(
            kNever, [](int, void* self) { static_cast<Worker*>(self)->ring(); },
            this, nullptr);
        if (alarm < 0) throw failed("libvirt's event loop takes no timer");
    }

    /// Held while something is posted to the executor, whose io_context may be
    /// gone as soon as we are quiet, and while the end sets off the alarm.
    std::mutex lock;
    std::optional<asio::any_io_executor> executor;  // nothing: quiet

    std::string uri;
    Listener listener;
    Pauses pauses;
    const Library& vir;

    std::promise<void> ended;

    static constexpr int kNever = -1;
    static constexpr int kAtOnce = 0;
    int alarm = -1;  // timer of libvirt's event loop
    bool rung = false;
    ConnectionPtr connection;
    int callback = -1;
    std::atomic<bool> stopping{false};
    bool lost = false;     // the connection
    bool changed = false;  // what runs
    std::string trouble;   // said last

    void start()
    {
        std::thread{[self = shared_from_this()] {
            self->follow();
            // What libvirt wants freed it frees with the next turn.
            self->vir.virEventUpdateTimeout(self->alarm, kAtOnce);
            self->turn();
            self->vir.virEventRemoveTimeout(self->alarm);
            self->ended.set_value();
        }}.detach();
    }

    void stop()
    {
        const std::lock_guard guard{lock};
        executor.reset();
        // Ordering: SEQ_CST, as there is no reason for another.
        stopping = true;
        // From any thread: it also interrupts a turn that waits.
        vir.virEventUpdateTimeout(alarm, kAtOnce);
    }

    void ring()
    {
        rung = true;
        // What stop() has set must not be undone.
        const std::lock_guard guard{lock};
        if (!stopping) vir.virEventUpdateTimeout(alarm, kNever);
    }

    /// Waits for something that libvirt watches, and has it dealt with.
    void turn()
    {
        if (vir.virEventRunDefaultImpl() < 0)
            // Without a pause this would be a loop that never waits.
            std::this_thread::sleep_for(pauses.first);
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

    void follow()
    {
        auto delay = pauses.first;
        while (!stopping) {
            if (open()) {
                delay = pauses.first;
                tell(&Listener::connected, true);
                while (!stopping && !lost) {
                    if (std::exchange(changed, false))
                        list();
                    else
                        turn();
                }
                close();
                tell(&Listener::connected, false);
            }
            pause(delay);
            delay = std::min(delay * 2, pauses.longest);
        }
    }

    void pause(std::chrono::milliseconds delay)
    {
        rung = false;
        vir.virEventUpdateTimeout(alarm, static_cast<int>(delay.count()));
        while (!stopping && !rung) turn();
    }

    bool open()
    try {
        connection = connect(uri);
        lost = false;
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
