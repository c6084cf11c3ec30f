// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet.hpp"

#include <algorithm>
#include <utility>

#include "failure.hpp"
#include "text.hpp"

namespace ipidefer::daemon {

using segment::Life;
using segment::OpenVm;
using segment::VmStatus;

void Fleet::refresh(const Config& config)
{
    std::vector<std::string> names;
    try {
        names = segment::vm_names(folder_);
        trouble_.clear();
    } catch (const Failure& failure) {
        // Once, not with every look.
        if (trouble_ != failure.what()) Audit::note(failure.what());
        trouble_ = failure.what();
    }
    const auto there = [&names](const std::string& name) {
        return std::ranges::find(names, name) != names.end();
    };
    std::erase_if(broken_, [&](const auto& b) { return !there(b.first); });
    std::erase_if(members_, [&](const auto& member) {
        const auto& [name, m] = member;
        const Life life = m->vm.life();
        if (there(name) && life != Life::kEnded && life != Life::kGone)
            return false;
        Audit::note("VM '" + name + "' is gone");
        return true;
    });
    for (const std::string& name : names) try {
            look(name, config);
        } catch (const Failure& failure) {
            members_.erase(name);
            if (broken_[name] != failure.what()) Audit::note(failure.what());
            broken_[name] = failure.what();
        }
}

void Fleet::look(const std::string& name, const Config& config)
{
    auto& member = members_[name];
    if (member != nullptr) {
        member->vm.check();
        const segment::Policy now = read_policy(member->vm.segment());
        if (now == member->policy) return;
        audit_->policy(name, "somebody else", differences(member->policy, now));
        member->policy = now;
        return;
    }
    OpenVm vm{folder_, name, true};
    if (vm.life() == Life::kGone || vm.life() == Life::kEnded) {
        members_.erase(name);
        return;
    }
    const std::uint64_t pid = vm.segment().identity().pid;
    const segment::Policy policy = read_policy(vm.segment());
    member = std::make_unique<Member>(Member{std::move(vm), pid, policy});
    broken_.erase(name);
    Audit::note("VM '" + name + "' is here, pid " + std::to_string(pid));
    configure(*member, config);
}

void Fleet::configure(Member& member, const Config& config)
{
    const std::string& name = member.vm.name();
    try {
        (void)change(member, config.policy_of(name, domain_of(name)),
                     "configuration");
    } catch (const Failure& failure) {
        Audit::note("VM '" + name + "': " + failure.what());
    }
}

std::optional<DomainIdentity> Fleet::domain_of(const std::string& vm) const
{
    const auto domain = domains_.find(vm);
    if (domain == domains_.end()) return std::nullopt;
    return domain->second;
}

void Fleet::identify(Domains domains, const Config& config)
{
    const Domains before = std::exchange(domains_, std::move(domains));
    for (const auto& [name, domain] : domains_) {
        const auto old = before.find(name);
        const auto member = members_.find(name);
        if ((old != before.end() && old->second == domain) ||
            member == members_.end())
            continue;
        // What its name or that of all others says, it has already.
        if (config.domains.contains(name) ||
            (!config.domains.contains(domain.uuid) &&
             !config.domains.contains(domain.name)))
            continue;
        configure(*member->second, config);
    }
}

void Fleet::apply_all(const Config& config)
{
    refresh(config);
    for (auto& [name, member] : members_) configure(*member, config);
}

std::vector<VmStatus> Fleet::status()
{
    std::vector<VmStatus> all;
    for (const auto& [name, member] : members_) try {
            all.push_back(read_status(member->vm, segment::read_tsc()));
        } catch (const Failure& failure) {
            broken_[name] = failure.what();
        }
    return all;
}

std::vector<std::string> Fleet::change(const std::string& vm,
                                       const RawPolicy& policy,
                                       const std::string& by)
{
    const auto member = members_.find(vm);
    if (member == members_.end())
        throw Failure{Exit::kCannotRun,
                      "there is no VM '" + printable(vm) + "'"};
    return change(*member->second, policy, by);
}

std::vector<std::string> Fleet::change(Member& member, const RawPolicy& policy,
                                       const std::string& by)
{
    const auto vcpus = member.vm.segment().vcpus();
    const segment::Policy before = read_policy(member.vm.segment());
    apply(check_policy(policy, vcpus), member.vm.policy(), vcpus);
    member.policy = read_policy(member.vm.segment());
    auto changes = differences(before, member.policy);
    audit_->policy(member.vm.name(), by, changes);
    return changes;
}

}  // namespace ipidefer::daemon
