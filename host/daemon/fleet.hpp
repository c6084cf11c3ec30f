// SPDX-License-Identifier: GPL-2.0-or-later
// Fleet: the VMs of this host, as they come and go. Pure of events: somebody
// calls refresh() when something may have changed.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit.hpp"
#include "config.hpp"
#include "domains.hpp"
#include "status.hpp"

namespace ipidefer::daemon {

class Fleet final {
  public:
    Fleet(std::filesystem::path folder, Audit& audit)
        : folder_{std::move(folder)}, audit_{&audit}
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

    /// All that can be read now; broken segments are left out.
    [[nodiscard]] std::vector<segment::VmStatus> status();

    /// Segments that cannot be read, by VM, with the reason.
    [[nodiscard]] const std::map<std::string, std::string>& broken()
        const noexcept
    {
        return broken_;
    }

    /// @param by for the audit log
    /// @return what changed. Throws Failure for a VM that is not there, or a
    ///         policy that does not fit it.
    std::vector<std::string> change(const std::string& vm,
                                    const RawPolicy& policy,
                                    const std::string& by);

  private:
    struct Member {
        segment::OpenVm vm;
        std::uint64_t pid;
        segment::Policy policy;  // as last seen
    };

    std::vector<std::string> change(Member& member, const RawPolicy& policy,
                                    const std::string& by);
    void look(const std::string& name, const Config& config);
    /// Its policy from the configuration. Says what cannot be done.
    void configure(Member& member, const Config& config);

    [[nodiscard]] std::optional<DomainIdentity> domain_of(
        const std::string& vm) const;

    std::filesystem::path folder_;
    Audit* audit_;
    Domains domains_;
    std::map<std::string, std::unique_ptr<Member>> members_;
    std::map<std::string, std::string> broken_;
    std::string trouble_;  // with the folder
};

}  // namespace ipidefer::daemon
