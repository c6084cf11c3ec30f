// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/libvirt/event_loop.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "host/libvirt/library.hpp"

namespace ipidefer::libvirt {

namespace asio = boost::asio;
using boost::system::error_code;
using Wait = asio::posix::descriptor_base;

/// Only the loop's thread uses the descriptor; `events` and `removed` change
/// under the lock.
struct EventLoop::Handle {
    Handle(asio::io_context& io, int copy) : descriptor{io, copy} {}

    int number = 0;
    int fd = -1;  // libvirt's own, which its callback is told
    int events = 0;
    bool removed = false;
    virEventHandleCallback callback = nullptr;
    void* opaque = nullptr;
    virFreeCallback free = nullptr;
    /// A copy, so that two watches of one descriptor do not get into each
    /// other's way, and closing ours closes nothing of libvirt's.
    asio::posix::stream_descriptor descriptor;
    int waiting = 0;  // events that a wait is under way for

    void stop()
    {
        error_code ignored;
        descriptor.close(ignored);
    }
};

struct EventLoop::Timeout {
    explicit Timeout(asio::io_context& io) : timer{io} {}

    int number = 0;
    int interval = -1;
    bool removed = false;
    virEventTimeoutCallback callback = nullptr;
    void* opaque = nullptr;
    virFreeCallback free = nullptr;
    asio::steady_timer timer;
    /// Of the wait that counts: one that has ended already can no longer be
    /// cancelled, when the interval is changed.
    unsigned wait = 0;

    void stop() { timer.cancel(); }
};

EventLoop::~EventLoop()
{
    for (const auto& [number, handle] : handles_) {
        handle->removed = true;
        handle->stop();
        if (handle->free != nullptr) handle->free(handle->opaque);
    }
    for (const auto& [number, timeout] : timeouts_) {
        timeout->removed = true;
        timeout->stop();
        if (timeout->free != nullptr) timeout->free(timeout->opaque);
    }
}

template <class Watch>
std::shared_ptr<Watch> EventLoop::find(
    const std::map<int, std::shared_ptr<Watch>>& all, int number)
{
    const auto at = all.find(number);
    return at == all.end() ? nullptr : at->second;
}

template <class Watch>
int EventLoop::remove(std::map<int, std::shared_ptr<Watch>>& all, int number)
{
    std::shared_ptr<Watch> watch;
    {
        const std::scoped_lock guard{lock_};
        watch = find(all, number);
        if (watch == nullptr) return -1;
        watch->removed = true;
        all.erase(number);
    }
    asio::post(io_, [watch] {
        watch->stop();
        if (watch->free != nullptr) watch->free(watch->opaque);
    });
    return 0;
}

// ---- descriptors ------------------------------------------------------------

int EventLoop::add_handle(int fd, int events, virEventHandleCallback callback,
                          void* opaque, virFreeCallback free)
{
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return -1;
    std::shared_ptr<Handle> handle;
    try {
        handle = std::make_shared<Handle>(io_, copy);
    } catch (const boost::system::system_error&) {
        // A file, for example: it is always ready, and cannot be waited for.
        ::close(copy);
        return -1;
    }
    handle->fd = fd;
    handle->events = events;
    handle->callback = callback;
    handle->opaque = opaque;
    handle->free = free;
    {
        const std::scoped_lock guard{lock_};
        handle->number = next_++;
        handles_.emplace(handle->number, handle);
    }
    asio::post(io_, [this, handle] { arm(handle); });
    return handle->number;
}

void EventLoop::update_handle(int watch, int events)
{
    std::shared_ptr<Handle> handle;
    {
        const std::scoped_lock guard{lock_};
        handle = find(handles_, watch);
        if (handle == nullptr) return;
        handle->events = events;
    }
    asio::post(io_, [this, handle] { arm(handle); });
}

int EventLoop::remove_handle(int watch) { return remove(handles_, watch); }

/// Wait for what is wanted and not yet waited for. A wait for what is no longer
/// wanted ends by itself, once, and is ignored.
void EventLoop::arm(const std::shared_ptr<Handle>& handle)
{
    int wanted = 0;
    {
        const std::scoped_lock guard{lock_};
        if (handle->removed) return;
        wanted = handle->events;
    }
    for (const int event : {VIR_EVENT_HANDLE_READABLE,
                            VIR_EVENT_HANDLE_WRITABLE, VIR_EVENT_HANDLE_ERROR})
        if ((wanted & event) != 0 && (handle->waiting & event) == 0)
            wait(handle, event);
    // Errors and hangups end every wait; if nothing else is wanted, that one.
    if (wanted == VIR_EVENT_HANDLE_HANGUP &&
        (handle->waiting & VIR_EVENT_HANDLE_ERROR) == 0)
        wait(handle, VIR_EVENT_HANDLE_ERROR);
}

void EventLoop::wait(const std::shared_ptr<Handle>& handle, int event)
{
    const auto type = event == VIR_EVENT_HANDLE_READABLE   ? Wait::wait_read
                      : event == VIR_EVENT_HANDLE_WRITABLE ? Wait::wait_write
                                                           : Wait::wait_error;
    handle->waiting |= event;
    handle->descriptor.async_wait(
        type, [this, handle, event](const error_code& error) {
            handle->waiting &= ~event;
            if (error) return;  // closed
            ready(handle);
            arm(handle);
        });
}

/// Tell libvirt what is true now, if it wants to know.
void EventLoop::ready(const std::shared_ptr<Handle>& handle)
{
    int wanted = 0;
    {
        const std::scoped_lock guard{lock_};
        if (handle->removed) return;
        wanted = handle->events;
    }
    if (wanted == 0) return;
    pollfd now{handle->descriptor.native_handle(), 0, 0};
    if ((wanted & VIR_EVENT_HANDLE_READABLE) != 0) now.events |= POLLIN;
    if ((wanted & VIR_EVENT_HANDLE_WRITABLE) != 0) now.events |= POLLOUT;
    if (::poll(&now, 1, 0) <= 0) return;
    int events = 0;
    if ((now.revents & POLLIN) != 0) events |= VIR_EVENT_HANDLE_READABLE;
    if ((now.revents & POLLOUT) != 0) events |= VIR_EVENT_HANDLE_WRITABLE;
    // As poll() does, whether they are wanted or not.
    if ((now.revents & POLLERR) != 0) events |= VIR_EVENT_HANDLE_ERROR;
    if ((now.revents & POLLHUP) != 0) events |= VIR_EVENT_HANDLE_HANGUP;
    if (events != 0)
        handle->callback(handle->number, handle->fd, events, handle->opaque);
}

// ---- timers -----------------------------------------------------------------

int EventLoop::add_timeout(int interval, virEventTimeoutCallback callback,
                           void* opaque, virFreeCallback free)
{
    const auto timeout = std::make_shared<Timeout>(io_);
    timeout->interval = interval;
    timeout->callback = callback;
    timeout->opaque = opaque;
    timeout->free = free;
    {
        const std::scoped_lock guard{lock_};
        timeout->number = next_++;
        timeouts_.emplace(timeout->number, timeout);
    }
    asio::post(io_, [this, timeout] { arm(timeout); });
    return timeout->number;
}

void EventLoop::update_timeout(int timer, int interval)
{
    std::shared_ptr<Timeout> timeout;
    {
        const std::scoped_lock guard{lock_};
        timeout = find(timeouts_, timer);
        if (timeout == nullptr) return;
        timeout->interval = interval;
    }
    asio::post(io_, [this, timeout] { arm(timeout); });
}

int EventLoop::remove_timeout(int timer) { return remove(timeouts_, timer); }

/// The interval begins anew.
void EventLoop::arm(const std::shared_ptr<Timeout>& timeout)
{
    int interval = -1;
    {
        const std::scoped_lock guard{lock_};
        if (timeout->removed) return;
        interval = timeout->interval;
    }
    const unsigned number = ++timeout->wait;
    timeout->timer.cancel();
    if (interval < 0) return;
    timeout->timer.expires_after(std::chrono::milliseconds{interval});
    timeout->timer.async_wait([this, timeout, number](const error_code& error) {
        if (error || number != timeout->wait) return;
        {
            const std::scoped_lock guard{lock_};
            if (timeout->removed || timeout->interval < 0) return;
        }
        timeout->callback(timeout->number, timeout->opaque);
        // Not when the callback itself has led to a new wait.
        if (number == timeout->wait) arm(timeout);
    });
}

// ---- libvirt's own ----------------------------------------------------------

namespace {

struct Installed {
    asio::io_context io{1};
    EventLoop loop{io};
};

Installed* installed = nullptr;

}  // namespace

asio::io_context& installed_loop()
{
    static const bool once = [] {
        installed = new Installed;
        library().virEventRegisterImpl(
            [](int fd, int events, virEventHandleCallback callback,
               void* opaque, virFreeCallback free) {
                return installed->loop.add_handle(fd, events, callback, opaque,
                                                  free);
            },
            [](int watch, int events) {
                installed->loop.update_handle(watch, events);
            },
            [](int watch) { return installed->loop.remove_handle(watch); },
            [](int interval, virEventTimeoutCallback callback, void* opaque,
               virFreeCallback free) {
                return installed->loop.add_timeout(interval, callback, opaque,
                                                   free);
            },
            [](int timer, int interval) {
                installed->loop.update_timeout(timer, interval);
            },
            [](int timer) { return installed->loop.remove_timeout(timer); });
        return true;
    }();
    static_cast<void>(once);
    return installed->io;
}

}  // namespace ipidefer::libvirt
