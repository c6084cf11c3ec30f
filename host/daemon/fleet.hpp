// SPDX-License-Identifier: GPL-2.0-or-later
// Fleet: the VMs of this host, as they come and go. Pure of events: somebody
// calls refresh() when something may have changed.
//
// A VM is known by its segment's ID. Its label is its name as shown, unless an
// older VM has this name: then its ID, until the older one is gone. So series
// and requests by a name go on when a VM moves to a new VMM on this host.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/daemon/audit.hpp"
#include "host/daemon/config.hpp"
#include "host/daemon/domains.hpp"
#include "host/segment/status.hpp"

namespace ipidefer::daemon {

class Fleet final {
  public:
    Fleet(segment::Place place, Limits limits, Audit& audit)
        : place_{std::move(place)}, limits_{limits}, audit_{&audit}
    {
    }

    /// Find VMs that came, forget those that went; new ones get their policy
    /// from the configuration. Notices policies that others changed. Never
    /// throws for what a VM or its segment does.
    void refresh(const Config& config);

    /// What libvirt says now. VMs whose domain was not known before get the
    /// policy that the configuration has for it, if it has one.
    void identify(Domains domains, const Config& config);
    [[nodiscard]] const Domains& domains() const noexcept { return domains_; }

    /// Give all VMs their policy from a new configuration.
    void apply_all(const Config& config);

    /// Call `each` with all that can be read now, one by one, the oldest first;
    /// broken segments are left out.
    void each_status(const std::function<void(const segment::VmStatus&)>& each);

    /// Segments that cannot be read, by label or ID, with the reason.
    [[nodiscard]] const std::map<std::string, std::string>& broken()
        const noexcept
    {
        return broken_;
    }
    /// Segments above the limit, and files that are nobody's here.
    [[nodiscard]] std::size_t left_out() const noexcept { return left_out_; }

    /// @param vm a label or an ID
    /// @param by for the audit log
    /// @return what changed. Throws Failure for a VM that is not there, a
    ///         policy that does not fit it, or a segment that may only be read.
    std::vector<std::string> change(const std::string& vm,
                                    const terms::RawPolicy& policy,
                                    const std::string& by);

    /// VMs that are watched.
    [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }

  private:
    struct Member {
        segment::OpenVm vm;
        std::string label;
        terms::Policy policy;  // as last seen
    };

    std::vector<std::string> change(Member& member,
                                    const terms::RawPolicy& policy,
                                    const std::string& by);
    void look(const segment::Found& found, const Config& config);
    /// Its policy from the configuration. Says what cannot be done.
    void configure(Member& member, const Config& config);
    [[nodiscard]] static bool ended(const Member& member);
    void forget(const std::function<bool(const Member&)>& gone);
    /// Labels are unique, and the oldest VM of a name has the plain one.
    void label();
    void count_left_out(std::size_t now);
    void set_broken(const std::string& id, const std::string& why);
    void set_sound(const std::string& id);
    [[nodiscard]] segment::OpenVm open(const segment::Found& found) const;

    [[nodiscard]] std::optional<DomainIdentity> domain_of(
        const std::string& vm) const;

    segment::Place place_;
    Limits limits_;
    Audit* audit_;
    Domains domains_;
    std::vector<std::unique_ptr<Member>> members_;  // the oldest first
    std::map<std::string, std::string> broken_;     // by ID
    std::string trouble_;                           // with the folder
    std::size_t left_out_ = 0;
};

}  // namespace ipidefer::daemon
