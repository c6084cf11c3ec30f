// SPDX-License-Identifier: GPL-2.0-or-later
// Event loop: what libvirt asks of one (virEventRegisterImpl), on Boost.Asio.
// libvirt has file descriptors and timers watched; its callbacks run inside
// io_context::run().
//
// libvirt may add, change and remove watches from any thread, and from inside
// the callbacks. What it is told to free is freed from the loop and never from
// inside the call that removes: libvirt may hold locks then.
#pragma once

#include <libvirt/libvirt.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <mutex>

namespace ipidefer::libvirt {

class EventLoop final {
  public:
    /// @param io run by one thread at a time; outlives this
    explicit EventLoop(boost::asio::io_context& io) : io_{io} {}
    /// Ends all watches, and frees what was to be freed with them. Nobody runs
    /// `io` any more.
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // As documented for virEventAddHandleFunc and so on.

    /// @param events of virEventHandleType; 0: nothing for now
    /// @return its number, or -1 when it cannot be watched
    int add_handle(int fd, int events, virEventHandleCallback callback,
                   void* opaque, virFreeCallback free);
    void update_handle(int watch, int events);
    /// @return 0, or -1 when there is none of that number
    int remove_handle(int watch);

    /// @param interval in milliseconds; 0: with every turn, -1: never
    int add_timeout(int interval, virEventTimeoutCallback callback,
                    void* opaque, virFreeCallback free);
    void update_timeout(int timer, int interval);
    int remove_timeout(int timer);

  private:
    struct Handle;
    struct Timeout;

    /// The two of them, under the lock.
    template <class Watch>
    static std::shared_ptr<Watch> find(
        const std::map<int, std::shared_ptr<Watch>>& all, int number);
    template <class Watch>
    int remove(std::map<int, std::shared_ptr<Watch>>& all, int number);

    void arm(const std::shared_ptr<Handle>& handle);
    void wait(const std::shared_ptr<Handle>& handle, int event);
    void ready(const std::shared_ptr<Handle>& handle);
    void arm(const std::shared_ptr<Timeout>& timeout);

    boost::asio::io_context& io_;
    std::mutex lock_;  // of the maps and of what changes in their watches
    int next_ = 1;
    std::map<int, std::shared_ptr<Handle>> handles_;
    std::map<int, std::shared_ptr<Timeout>> timeouts_;
};

/// The event loop that libvirt has in this process. libvirt takes one, for
/// good, before the first connection: it is made with the first call and never
/// ends. Whoever uses libvirt runs the io_context, in one thread at a time.
[[nodiscard]] boost::asio::io_context& installed_loop();

}  // namespace ipidefer::libvirt
