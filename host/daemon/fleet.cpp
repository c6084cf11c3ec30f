// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/fleet.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::daemon {

using segment::Found;
using segment::Life;
using segment::OpenVm;

void Fleet::refresh(const Config& config)
{
    segment::Survey survey;
    try {
        survey = segment::survey(place_);
        trouble_.clear();
    } catch (const Failure& failure) {
        // Once, not with every look. VMs that we have open go on.
        if (trouble_ != failure.what()) Audit::note(failure.what());
        trouble_ = failure.what();
        forget([](const Member& member) { return ended(member); });
        return;
    }
    // The oldest first, whatever they are called: those above the limit are
    // always the same.
    std::ranges::sort(survey.found, {}, [](const Found& one) {
        return std::tie(one.published_ns, one.id);
    });
    const std::size_t above =
        survey.found.size() - std::min(survey.found.size(), limits_.vms);
    survey.found.resize(survey.found.size() - above);
    count_left_out(above + survey.left_out.foreign + survey.left_out.other);
    std::set<std::string> there;
    for (const Found& found : survey.found) there.insert(found.id);
    std::erase_if(broken_,
                  [&](const auto& b) { return !there.contains(b.first); });
    forget([&](const Member& member) {
        return ended(member) || !there.contains(member.vm.id());
    });
    for (const Found& found : survey.found) try {
            look(found, config);
        } catch (const Failure& failure) {
            std::erase_if(members_, [&](const auto& member) {
                return member->vm.id() == found.id;
            });
            set_broken(found.id, failure.what());
        }
}

bool Fleet::ended(const Member& member)
{
    const Life life = member.vm.life();
    return life == Life::kEnded || life == Life::kGone;
}

void Fleet::forget(const std::function<bool(const Member&)>& gone)
{
    std::erase_if(members_, [&gone](const auto& member) {
        if (!gone(*member)) return false;
        Audit::note("VM '" + member->label + "' is gone");
        return true;
    });
    label();
}

void Fleet::label()
{
    std::set<std::string> taken;
    for (const auto& member : members_) {
        const std::string name = segment::shown_name(member->vm.name());
        const std::string label =
            taken.insert(name).second ? name : member->vm.id();
        if (!member->label.empty() && member->label != label)
            Audit::note("VM '" + member->label + "' is now called '" + label +
                        "'");
        member->label = label;
    }
}

void Fleet::count_left_out(std::size_t now)
{
    if (now != left_out_)
        Audit::note("segments that are not watched: " + std::to_string(now) +
                    " (other users' files, or more than max_vms, " +
                    std::to_string(limits_.vms) + ')');
    left_out_ = now;
}

void Fleet::set_broken(const std::string& id, const std::string& why)
{
    // Once, not with every look.
    if (broken_[id] != why) Audit::note(why);
    broken_[id] = why;
}

void Fleet::set_sound(const std::string& id)
{
    if (broken_.erase(id) != 0)
        Audit::note("the segment '" + id + "' can be read again");
}

OpenVm Fleet::open(const Found& found) const
try {
    return OpenVm{place_, found, true};
} catch (const Failure& failure) {
    // What may only be read can be watched, if not steered.
    try {
        return OpenVm{place_, found, false};
    } catch (const Failure&) {
        throw failure;
    }
}

void Fleet::look(const Found& found, const Config& config)
{
    const auto known = std::ranges::find_if(members_, [&](const auto& member) {
        return member->vm.id() == found.id;
    });
    if (known != members_.end()) {
        Member& member = **known;
        member.vm.check();
        const terms::Policy now = read_policy(member.vm.segment());
        if (now == member.policy) return;
        audit_->policy(member.label, "somebody else",
                       differences(member.policy, now));
        member.policy = now;
        return;
    }
    OpenVm vm = open(found);
    if (vm.life() == Life::kGone || vm.life() == Life::kEnded) return;
    const std::uint64_t pid = vm.segment().identity().pid;
    const terms::Policy policy = read_policy(vm.segment());
    members_.push_back(
        std::make_unique<Member>(Member{std::move(vm), "", policy}));
    set_sound(found.id);
    label();
    Member& member = *members_.back();
    Audit::note("VM '" + member.label + "' is here, ID " + found.id + ", pid " +
                std::to_string(pid) + ", of user " +
                segment::user_name(found.owner));
    configure(member, config);
}

void Fleet::configure(Member& member, const Config& config)
{
    const std::string& name = member.vm.name();
    const terms::RawPolicy policy = config.policy_of(name, domain_of(name));
    if (policy.empty()) return;
    try {
        (void)change(member, policy, "configuration");
    } catch (const Failure& failure) {
        Audit::note("VM '" + member.label + "': " + failure.what());
    }
}

std::optional<DomainIdentity> Fleet::domain_of(const std::string& vm) const
{
    const auto domain = domains_.find(segment::shown_name(vm));
    if (domain == domains_.end()) return std::nullopt;
    return domain->second;
}

void Fleet::identify(Domains domains, const Config& config)
{
    const Domains before = std::exchange(domains_, std::move(domains));
    for (const auto& member : members_) {
        const std::string name = segment::shown_name(member->vm.name());
        const auto domain = domains_.find(name);
        if (domain == domains_.end()) continue;
        const auto old = before.find(name);
        if (old != before.end() && old->second == domain->second) continue;
        // What its name or that of all others says, it has already.
        if (config.domains.contains(member->vm.name()) ||
            config.domains.contains(name) ||
            (!config.domains.contains(domain->second.uuid) &&
             !config.domains.contains(domain->second.name)))
            continue;
        configure(*member, config);
    }
}

void Fleet::apply_all(const Config& config)
{
    refresh(config);
    for (const auto& member : members_) configure(*member, config);
}

void Fleet::each_status(
    const std::function<void(const segment::VmStatus&)>& each)
{
    for (const auto& member : members_) {
        segment::VmStatus status;
        try {
            status = read_status(member->vm, segment::read_tsc());
        } catch (const Failure& failure) {
            set_broken(member->vm.id(), failure.what());
            continue;
        }
        set_sound(member->vm.id());
        status.name = member->label;
        each(status);
    }
}

std::vector<std::string> Fleet::change(const std::string& vm,
                                       const terms::RawPolicy& policy,
                                       const std::string& by)
{
    const auto member = std::ranges::find_if(members_, [&vm](const auto& one) {
        return one->label == vm || one->vm.id() == vm;
    });
    if (member == members_.end())
        throw Failure{Exit::kCannotRun,
                      "there is no VM '" + printable(vm) + "'"};
    return change(**member, policy, by);
}

std::vector<std::string> Fleet::change(Member& member,
                                       const terms::RawPolicy& policy,
                                       const std::string& by)
{
    const auto vcpus = member.vm.segment().vcpus();
    const terms::PolicyChange wanted = terms::check_policy(policy, vcpus);
    if (!member.vm.writable())
        throw Failure{Exit::kCannotRun,
                      "VM '" + member.label +
                          "': we may read its segment, and not write it"};
    const terms::Policy before = read_policy(member.vm.segment());
    apply(wanted, member.vm.policy(), vcpus);
    member.policy = read_policy(member.vm.segment());
    auto changes = differences(before, member.policy);
    audit_->policy(member.label, by, changes);
    return changes;
}

}  // namespace ipidefer::daemon
