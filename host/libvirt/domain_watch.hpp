// SPDX-License-Identifier: GPL-2.0-or-later
// Domain watch: which domains run, as libvirt tells, for as long as there is
// somebody who wants to know. Survives a libvirtd that dies, hangs or comes
// later: it connects again, after a pause that grows.
//
// Calls to libvirt wait for libvirtd, so they are made in a thread of their
// own, which also runs libvirt's event loop, of which a process has one: there
// is one watch at a time. Who uses this waits for nothing.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ipidefer::libvirt {

struct ActiveDomain {
    std::string name;
    std::string uuid;
    std::string xml;
};

class DomainWatch final {
  public:
    struct Listener {
        /// All that run, whenever that may have changed.
        std::function<void(std::vector<ActiveDomain>)> domains;
        /// Connected or not, whenever that changes. What was last said of
        /// domains stays true of those that run on without libvirtd.
        std::function<void(bool)> connected;
        /// A remark for the operator.
        std::function<void(std::string)> note;
    };
    struct Pauses {
        std::chrono::milliseconds first{1'000};
        std::chrono::milliseconds longest{30'000};
    };

    /// @param executor where the listener is called
    /// @param uri      empty: as virsh would choose
    /// Throws Failure when libvirt is not installed.
    DomainWatch(boost::asio::any_io_executor executor, std::string uri,
                Listener listener, Pauses pauses);
    /// Nothing is called or posted any more: the executor's context may go.
    /// Waits for libvirt, but not for long; a call that libvirtd does not
    /// answer goes on in its thread, and finds nobody to tell.
    ~DomainWatch();
    DomainWatch(const DomainWatch&) = delete;
    DomainWatch& operator=(const DomainWatch&) = delete;

  private:
    struct Worker;
    std::shared_ptr<Worker> worker_;
};

}  // namespace ipidefer::libvirt
