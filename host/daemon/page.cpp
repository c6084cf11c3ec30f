// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/page.hpp"

#include <fmt/format.h>
#include <ipidefer/ipidefer.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/cpulist.hpp"
#include "base/failure.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "base/xml.hpp"
#include "host/daemon/page_parts.hpp"
#include "host/segment/place.hpp"
#include "vmm/terms/vectors.hpp"

namespace ipidefer::daemon {
namespace {

using segment::Life;
using terms::VerdictCounts;

/// "0.3" or "120", as people compare them.
std::string rate(std::uint64_t count, double seconds)
{
    if (seconds <= 0) return "-";
    const double value = static_cast<double>(count) / seconds;
    return value < 10 ? fmt::format("{:.1f}", value)
                      : fmt::format("{:.0f}", value);
}

/// Three cells: how many a second were recorded for the first time, again,
/// delivered.
std::string rate_cells(const VerdictCounts& delta, double seconds)
{
    return fmt::format("<td class=n>{}<td class=n>{}<td class=n>{}",
                       rate(delta[IPIDEFER_DEFERRED], seconds),
                       rate(delta[IPIDEFER_COALESCED], seconds),
                       rate(delta.delivered(), seconds));
}

const ShownVm* find_vm(const SnapshotPtr& in, const std::string& id)
{
    if (!in) return nullptr;
    const auto found =
        std::find_if(in->vms.begin(), in->vms.end(),
                     [&](const auto& vm) { return vm.id == id; });
    return found == in->vms.end() ? nullptr : &*found;
}

VerdictCounts delta_of(const ShownVm& vm, const ShownVm* before)
{
    return before == nullptr ? VerdictCounts{} : vm.total - before->total;
}

VerdictCounts delta_of(const ShownVcpu& vcpu, const ShownVm* before)
{
    if (before == nullptr) return {};
    const auto found = std::find_if(
        before->shown.begin(), before->shown.end(),
        [&](const auto& other) { return other.vcpu == vcpu.vcpu; });
    return found == before->shown.end() ? VerdictCounts{}
                                        : vcpu.total - found->total;
}

/// The policy in a few words.
std::string policy_of(const terms::Policy& policy)
{
    if (!policy.enabled) return "off";
    std::string text =
        "vCPUs " + (policy.isolated.empty() ? std::string{"none"}
                                            : format_cpulist(policy.isolated));
    for (const auto& [on, name] :
         {std::pair{policy.user, "user"}, std::pair{policy.guest, "guest"},
          std::pair{policy.idle, "idle"}})
        if (on) text += std::string{", "} + name;
    for (const std::uint8_t vector : policy.denied)
        text += ", no " + terms::vector_name(vector);
    return text + ", max-age " + terms::age_or_none(policy.max_age);
}

// -- what is wrong ------------------------------------------------------------

using Findings = std::vector<std::string>;  // HTML

void add(Findings& findings, const std::string& subject,
         const std::string& text)
{
    findings.push_back("<li><b>" + xml(subject) + "</b>: " + xml(text));
}

void findings_of(const ShownVm& vm, const VerdictCounts& delta,
                 Findings& findings)
{
    const std::string name = "VM " + vm.name;
    if (vm.life == Life::kGone)
        add(findings, name,
            "its VMM was killed; `ipidefer list --clean` removes what it left");
    if (!vm.policy.enabled)
        add(findings, name,
            "nothing is deferred: the kill switch is on (`ipidefer policy`)");
    else if (vm.policy.isolated.empty())
        add(findings, name, "nothing is deferred: the policy isolates no vCPU");
    else if (!vm.isolated_unbound.empty())
        add(findings, name,
            "the guest has not registered vCPUs " +
                format_cpulist(vm.isolated_unbound) +
                ": does its kernel have the series, and ipi_defer=hv?");
    if (const auto lost = delta[IPIDEFER_DELIVERED_BAD_WORD]; lost != 0)
        add(findings, name,
            std::to_string(lost) +
                " IPIs were delivered since the memory of a word is gone");
    if (const auto contended = delta[IPIDEFER_DELIVERED_CONTENDED];
        contended != 0)
        add(findings, name,
            std::to_string(contended) +
                " IPIs were delivered since the guest kept changing the word: "
                "it misbehaves");
    if (vm.trace_dropped != 0)
        add(findings, name,
            std::to_string(vm.trace_dropped) + " events of its trace are lost");
}

std::string findings_list(const SnapshotPtr& before, const SnapshotPtr& now)
{
    Findings findings;
    for (const auto& [name, why] : now->broken)
        add(findings, "segment " + name, "cannot be read: " + why);
    if (now->left_out != 0)
        add(findings, "segments",
            std::to_string(now->left_out) +
                " are not watched: other users' files, or more than max_vms");
    if (now->libvirt == false)
        add(findings, "libvirt", "does not answer; it is asked again");
    if (now->audit_kept != 0)
        add(findings, "audit log",
            "does not take " + std::to_string(now->audit_kept) + " entries");
    if (now->audit_lost != 0)
        add(findings, "audit log",
            std::to_string(now->audit_lost) + " entries are lost");
    for (const ShownVm& vm : now->vms)
        findings_of(vm, delta_of(vm, find_vm(before, vm.id)), findings);
    if (findings.empty()) return "<p id=wrong class=good>Nothing.</p>\n";
    std::string list = "<ul id=wrong>\n";
    for (const std::string& finding : findings) list += finding + '\n';
    return list + "</ul>\n";
}

// -- tables -------------------------------------------------------------------

std::string vm_row(const ShownVm& vm, const ShownVm* before, double seconds)
{
    std::string domain;
    if (vm.domain)
        domain = fmt::format("<br><small>libvirt {} {}</small>",
                             xml(vm.domain->name), xml(vm.domain->uuid));
    return fmt::format(
        "<tr><th scope=row>{}{}<td>{}<td>{}<td>{}{}<td class=n>{}<td class=n>{}"
        "<td class=n>{}\n",
        xml(vm.name), domain, xml(std::string{to_string(vm.life)}),
        xml(policy_of(vm.policy)), xml(segment::user_name(vm.owner)),
        rate_cells(delta_of(vm, before), before == nullptr ? 0 : seconds),
        vm.total.recorded(), vm.total.delivered(),
        segment::age_text(vm.oldest_pending));
}

std::string vcpu_table(const ShownVm& vm, const ShownVm* before, double seconds)
{
    std::string table = fmt::format(kVcpuTableHead, xml(vm.name),
                                    xml(vm.producer), vm.pid, xml(vm.id));
    for (const ShownVcpu& vcpu : vm.shown)
        table += fmt::format(
            "<tr><th scope=row>{}<td>{}<td>{}<td>{}{}<td class=n>{}"
            "<td class=n>{}<td class=n>{}\n",
            vcpu.vcpu, vcpu.isolated ? "isolated" : "",
            vcpu.bound ? "registered" : "no", xml(vcpu.context),
            rate_cells(delta_of(vcpu, before), before == nullptr ? 0 : seconds),
            vcpu.total.recorded(), vcpu.total.delivered(),
            segment::age_text(vcpu.oldest_pending));
    table += "</table>\n";
    if (vm.shown.size() < vm.vcpus)
        table += fmt::format("<p>{} more vCPUs are not shown.</p>\n",
                             vm.vcpus - vm.shown.size());
    return table;
}

}  // namespace

std::string page_body(const SnapshotPtr& before, const SnapshotPtr& now)
{
    const double seconds =
        before ? std::chrono::duration<double>(now->when - before->when).count()
               : 0;
    const SnapshotPtr& since = seconds > 0 ? before : nullptr;
    std::string body = "<h2>What is wrong</h2>\n" + findings_list(since, now);
    body += kVmTableHead;
    for (const ShownVm& vm : now->vms)
        body += vm_row(vm, find_vm(since, vm.id), seconds);
    if (now->vms.empty()) body += "<tr><td colspan=10>There are no VMs.\n";
    body += "</table>\n";
    if (now->vms_not_shown != 0)
        body += fmt::format("<p>{} more VMs are not shown.</p>\n",
                            now->vms_not_shown);
    for (const ShownVm& vm : now->vms)
        if (!vm.shown.empty())
            body += vcpu_table(vm, find_vm(since, vm.id), seconds);
    return body;
}

std::string page(const std::string& body, const std::string& nonce)
{
    return fmt::format(kPage, fmt::arg("nonce", nonce), fmt::arg("body", body),
                       fmt::arg("version", xml(kVersion)),
                       fmt::arg("style", kStyle), fmt::arg("script", kScript));
}

std::string page_policy(const std::string& nonce)
{
    return fmt::format(
        "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
        nonce);
}

std::string page_nonce()
{
    std::array<unsigned char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) !=
        static_cast<ssize_t>(bytes.size()))
        throw system_failure("getrandom");
    return fmt::format("{:02x}", fmt::join(bytes, ""));
}

std::string page_event(const std::string& body)
{
    std::string event;
    for (const std::string_view line : lines_of(body)) {
        event += "data: ";
        event += line;
        event += '\n';
    }
    return event + '\n';
}

}  // namespace ipidefer::daemon
