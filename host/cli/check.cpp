// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer check: is this host fit, a domain on it, or a guest's kernel?
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/json_writer.hpp"
#include "base/table.hpp"
#include "base/text.hpp"
#include "host/blame/remedy.hpp"
#include "host/check/guest_config.hpp"
#include "host/check/host_checks.hpp"
#include "host/check/host_kvm.hpp"
#include "host/cli/command.hpp"
#include "host/cli/emulator_probe.hpp"
#include "host/domain/domain_checks.hpp"
#include "host/domain/well_formed.hpp"
#include "host/segment/open.hpp"
#ifdef IPIDEFER_HAS_LIBVIRT
#include "host/libvirt/connection.hpp"
#endif

namespace ipidefer::cli {
namespace {

using check::Finding;
using check::Grade;

constexpr const char* kRoot = "/";

struct CheckOptions {
    std::string xml;     // file
    std::string domain;  // of libvirt
    std::string connect;
    std::string guest_config;  // file
    bool probe = false;
    bool json = false;
};

struct LibvirtDomain {
    std::string xml;
    bool active;
};

#ifdef IPIDEFER_HAS_LIBVIRT
LibvirtDomain ask_libvirt(const CheckOptions& options)
{
    const auto connection = libvirt::connect(options.connect);
    const auto domain = libvirt::find_domain(connection.get(), options.domain);
    return {libvirt::xml_of(domain.get()), libvirt::is_active(domain.get())};
}
#else
LibvirtDomain ask_libvirt(const CheckOptions&)
{
    throw Failure{Exit::kNotPossible,
                  "built without libvirt; virsh dumpxml DOMAIN | ipidefer "
                  "check --domain-xml - looks at what it is defined as"};
}
#endif

domain::Running look_at(const domain::Domain& domain,
                        const segment::Place& place)
{
    segment::Place where = place;
    if (domain.objects.size() == 1)
        if (const auto own = domain.objects[0].object.get("segment-dir"))
            where.directory = *own;
    try {
        const segment::OpenVm vm{where, domain.segment_name()};
        if (const auto life = vm.life();
            life == segment::Life::kGone || life == segment::Life::kEnded)
            return {std::nullopt, "its segment is that of a VM that ended"};
        return {read_status(vm, segment::read_tsc()), ""};
    } catch (const Failure& failure) {
        return {std::nullopt, failure.what()};
    }
}

std::vector<Finding> domain_findings(const CheckOptions& options,
                                     const segment::Place& place)
{
    domain::CheckInput input;
    if (options.domain.empty()) {
        input.domain =
            domain::read_domain(read_input(options.xml, domain::kMostXmlBytes));
    } else {
        const LibvirtDomain found = ask_libvirt(options);
        input.domain = domain::read_domain(found.xml);
        if (found.active) input.running = look_at(input.domain, place);
    }
    input.host = check::read_host_cpus(kRoot);
    input.ipis_bypass_kvm = check::ipis_bypass_kvm(kRoot);
    input.kvm_complaint = check::kvm_complaint(kRoot);
    // A domain XML is data: who wrote it does not choose what runs here, which
    // is as root when libvirt's hook asks.
    if (options.probe) input.emulator = probe_emulator(input.domain.emulator);
    return domain::domain_findings(input);
}

std::vector<Finding> findings_of(const CheckOptions& options,
                                 const segment::Place& place)
{
    if (!options.guest_config.empty())
        return check::guest_config_findings(check::guest_config_text(
            read_input(options.guest_config, check::kMostConfigBytes)));
    if (!options.xml.empty() || !options.domain.empty())
        return domain_findings(options, place);
    return check::host_findings(
        kRoot, place.directory.empty() ? IPIDEFER_SHM_PARENT : place.directory);
}

/// What ipidefer blame calls what a finding lets happen.
std::vector<blame::Cause::Kind> causes_of(const Finding& finding)
{
    return finding.remedy.empty() ? std::vector<blame::Cause::Kind>{}
                                  : blame::causes_of_check(finding.name);
}

nlohmann::ordered_json to_json(const Finding& finding)
{
    nlohmann::ordered_json json{
        {"name", finding.name},
        {"grade", std::string{to_string(finding.grade)}},
        {"what", finding.what},
        {"remedy", finding.remedy}};
    for (const auto kind : causes_of(finding))
        json["causes"].push_back({{"kind", blame::name(kind)},
                                  {"remedy", blame::remedy(kind).text}});
    return json;
}

/// Causes of interruptions that findings are about, each once.
std::string causes_text(const std::vector<Finding>& findings)
{
    std::map<blame::Cause::Kind, std::string> found;
    for (const Finding& finding : findings)
        for (const auto kind : causes_of(finding)) {
            std::string& names = found[kind];
            names += (names.empty() ? "" : ", ") + finding.name;
        }
    if (found.empty()) return {};
    Table table{{Table::left(""), Table::left("")}};
    for (const auto& [kind, names] : found)
        table.row({"  " + std::string{blame::name(kind)},
                   std::string{blame::remedy(kind).text} + " (" + names + ")"});
    return "What these let interrupt a vCPU, as ipidefer blame calls it:\n" +
           table.text();
}

int run_check(const CheckOptions& options, const segment::Place& place)
{
    if (options.probe && options.xml.empty() && options.domain.empty())
        throw Failure{Exit::kCannotRun,
                      "--probe needs --domain or --domain-xml: a host has no "
                      "emulator to ask"};
    const auto findings = findings_of(options, place);
    if (options.json) {
        nlohmann::ordered_json list = nlohmann::json::array();
        for (const Finding& finding : findings)
            list.push_back(to_json(finding));
        std::cout << json_text(list, 2) << '\n';
    } else {
        Table table{{Table::left(""), Table::left("", 22), Table::left("")}};
        for (const Finding& finding : findings)
            table.row({std::string{to_string(finding.grade)}, finding.name,
                       finding.remedy.empty()
                           ? finding.what
                           : finding.what + "; remedy: " + finding.remedy});
        std::cout << table.text() << causes_text(findings);
    }
    const bool failed = std::ranges::any_of(
        findings,
        [](const Finding& finding) { return finding.grade == Grade::kFail; });
    return static_cast<int>(failed ? Exit::kDefect : Exit::kDone);
}

}  // namespace

Run add_check(CLI::App& app, const segment::Place& place)
{
    auto* command = app.add_subcommand(
        "check",
        "is this host, a libvirt domain, or a guest's kernel, fit for "
        "isolated vCPUs, and what to do");
    const auto options = std::make_shared<CheckOptions>();
    auto* domain = command->add_option(
        "--domain", options->domain,
        "a libvirt domain, by name or UUID; of one that runs also its guest");
    auto* xml = command
                    ->add_option("--domain-xml", options->xml,
                                 "a domain XML; - for standard input")
                    ->excludes(domain);
    command
        ->add_option("--guest-config", options->guest_config,
                     "the configuration of a guest's kernel: a .config, or "
                     "its /proc/config.gz; - for standard input")
        ->excludes(domain, xml);
    command
        ->add_option("--connect", options->connect,
                     "libvirt URI; default: as virsh")
        ->needs(domain);
    command->add_flag("--probe", options->probe,
                      "run the emulator that the domain names, with the rights "
                      "of the caller, to ask it for the ipi-defer object; "
                      "without it, nothing that a domain names is run");
    command->add_flag("--json", options->json, "as JSON");
    command->footer(
        "One line for each finding: pass, warn or fail, and the remedy; skip\n"
        "for what could not be looked at, and why.\n"
        "Examples:\n"
        "  ipidefer check\n"
        "  ipidefer check --domain web1\n"
        "  ipidefer check --domain-xml web1.xml\n"
        "  ipidefer check --guest-config /boot/config-$(uname -r)\n"
        "  ipidefer check --json | jq '.[] | select(.grade != \"pass\")'\n\n"
        "Exit status: 0 nothing fails, 1 could not run, 2 something fails,\n"
        "77 libvirt is not installed.");
    return [options, &place] { return run_check(*options, place); };
}

}  // namespace ipidefer::cli
