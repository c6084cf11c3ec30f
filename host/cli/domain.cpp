// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer domain: a domain XML with what deferral needs.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/cpulist.hpp"
#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/json_writer.hpp"
#include "base/table.hpp"
#include "base/text.hpp"
#include "host/cli/command.hpp"
#include "host/cli/emulator_probe.hpp"
#include "host/domain/defer_object.hpp"
#include "host/domain/plan.hpp"
#include "host/domain/well_formed.hpp"

namespace ipidefer::cli {
namespace {

using domain::Change;
using domain::Plan;
using domain::PlanOptions;

struct DomainOptions {
    std::string from;
    std::string output;
    std::string isolated;
    std::string host_isolated;
    std::string host_housekeeping;
    std::string emulator;
    std::string mode = "hv";
    std::string segment = "on";
    bool probe = false;
    bool no_probe = false;
    bool replace = false;
    bool check = false;
    bool json = false;
};

std::optional<CpuSet> cpus(const char* option, const std::string& list,
                           unsigned limit)
{
    if (list.empty()) return std::nullopt;
    try {
        return parse_cpulist(list, limit);
    } catch (const Failure& failure) {
        throw Failure{Exit::kCannotRun, std::string{option} + " '" +
                                            printable(list) +
                                            "': " + failure.what()};
    }
}

PlanOptions plan_options(const DomainOptions& options)
{
    PlanOptions plan;
    plan.isolated = cpus("--isolated", options.isolated, domain::kMostVcpus);
    plan.host_isolated =
        cpus("--host-isolated", options.host_isolated, kMostCpus);
    plan.host_housekeeping =
        cpus("--host-housekeeping", options.host_housekeeping, kMostCpus);
    if (!options.emulator.empty() && !options.emulator.starts_with('/'))
        throw Failure{Exit::kCannotRun,
                      "--emulator '" + printable(options.emulator) +
                          "' is not an absolute path, which libvirt wants"};
    plan.emulator = options.emulator;
    plan.mode = options.mode;
    plan.segment = options.segment == "on";
    plan.replace = options.replace;
    return plan;
}

std::string_view to_string(Change::Kind kind)
{
    switch (kind) {
        case Change::Kind::kChange:
            return "change";
        case Change::Kind::kConflict:
            return "conflict";
        case Change::Kind::kNote:
            return "note";
    }
    return "?";
}

void show(const Plan& plan, bool as_json, std::ostream& out)
{
    if (as_json) {
        nlohmann::ordered_json list = nlohmann::json::array();
        for (const Change& change : plan.changes)
            list.push_back({{"name", change.name},
                            {"kind", std::string{to_string(change.kind)}},
                            {"what", change.what}});
        out << json_text(list, 2) << '\n';
        return;
    }
    Table table{{Table::left("", 8), Table::left("", 14), Table::left("")}};
    for (const Change& change : plan.changes)
        table.row({std::string{to_string(change.kind)}, change.name,
                   printable(change.what)});
    out << table.text();
}

/// The whole file or the old one, also when it is the one that was read.
void write_file(const std::string& file, const std::string& text)
{
    std::string temporary = file + ".XXXXXX";
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
    const auto fail = [&] {
        throw Failure{Exit::kCannotRun,
                      "cannot write '" + printable(file) + "'"};
    };
    if (fd < 0) fail();
    ::close(fd);
    std::error_code error;
    // As the file was, or as a new one would be.
    std::filesystem::perms mode = std::filesystem::perms::owner_read |
                                  std::filesystem::perms::owner_write;
    if (const auto old = std::filesystem::status(file, error); exists(old))
        mode = old.permissions();
    std::filesystem::permissions(temporary, mode, error);
    std::ofstream out{temporary, std::ios::binary};
    out << text;
    out.close();
    if (out) std::filesystem::rename(temporary, file, error);
    if (!out || error) {
        std::filesystem::remove(temporary, error);
        fail();
    }
}

/// The caller's emulator unless forbidden; the XML's only when told to. A
/// domain XML is data: who wrote it does not choose what runs here.
std::optional<domain::Emulator> ask_emulator(const DomainOptions& options,
                                             const std::string& xml)
{
    if (options.no_probe) return std::nullopt;
    if (!options.emulator.empty()) return probe_emulator(options.emulator);
    if (!options.probe) return std::nullopt;
    return probe_emulator(domain::read_domain(xml).emulator);
}

int run_domain(const DomainOptions& options)
{
    if (options.json && !options.check && options.output.empty())
        throw Failure{Exit::kCannotRun,
                      "--json needs --check or --output: the XML goes to "
                      "standard output"};
    const std::string xml = read_input(options.from, domain::kMostXmlBytes);
    const PlanOptions wanted = plan_options(options);
    const Plan plan = domain::make_plan(xml, wanted, check::read_host_cpus("/"),
                                        ask_emulator(options, xml));
    const bool conflict = plan.has(Change::Kind::kConflict);
    const bool listing = options.check || options.json;
    show(plan, options.json, listing ? std::cout : std::cerr);
    if (options.check)
        return static_cast<int>(conflict || plan.has(Change::Kind::kChange)
                                    ? Exit::kDefect
                                    : Exit::kDone);
    if (conflict) {
        std::cerr << "ipidefer: nothing is written; settle the conflicts, or "
                     "give --replace for those that are settings\n";
        return static_cast<int>(Exit::kDefect);
    }
    if (options.output.empty())
        std::cout << plan.xml;
    else
        write_file(options.output, plan.xml);
    return static_cast<int>(Exit::kDone);
}

}  // namespace

Run add_domain(CLI::App& app, const segment::Place&)
{
    auto* command = app.add_subcommand(
        "domain", "give a libvirt domain XML what deferral needs");
    const auto options = std::make_shared<DomainOptions>();
    command
        ->add_option("--from", options->from,
                     "the domain XML; - for standard input")
        ->required();
    command->add_option("--isolated", options->isolated,
                        "isolated vCPUs, as in 2-3; default: those of the "
                        "XML's ipi-defer object");
    command->add_option("--host-isolated", options->host_isolated,
                        "host CPUs for isolated vCPUs, one for each; default: "
                        "those that this host isolates");
    command->add_option("--host-housekeeping", options->host_housekeeping,
                        "host CPUs for other vCPUs, the emulator and "
                        "iothreads; default: those that are not isolated");
    command
        ->add_option("--emulator", options->emulator,
                     "a QEMU with the ipi-defer object; default: the XML's")
        ->envname("IPIDEFER_QEMU");
    command
        ->add_option("--mode", options->mode,
                     "what a directly booted kernel is told: ipi_defer=MODE")
        ->check(CLI::IsMember({"hv", "guest", "off"}))
        ->capture_default_str();
    command
        ->add_option("--segment", options->segment,
                     "let host tools see the VM: on, off")
        ->check(CLI::IsMember({"on", "off"}))
        ->capture_default_str();
    command->add_flag("--replace", options->replace,
                      "replace settings that are in conflict");
    auto* probe = command->add_flag(
        "--probe", options->probe,
        "run also the XML's own emulator, with the rights of the caller, to "
        "ask it for the object; without it, nothing that the XML names is run");
    command
        ->add_flag("--no-probe", options->no_probe,
                   "do not run the --emulator to ask it for the object")
        ->excludes(probe);
    auto* check = command->add_flag("--check", options->check,
                                    "write nothing, list what is needed");
    command
        ->add_option("-o,--output", options->output,
                     "file to write; may be the one that is read")
        ->excludes(check);
    command->add_flag("--json", options->json, "list the changes as JSON");
    command->footer(
        "Only what is needed is changed; everything else stays as it is, byte\n"
        "for byte. What is set otherwise is a conflict: it is reported, and\n"
        "nothing is written.\n"
        "Examples:\n"
        "  ipidefer domain --from web1.xml --isolated 2-3 > new.xml\n"
        "  ipidefer domain --from web1.xml -o web1.xml --isolated 2-5 \\\n"
        "      --emulator /opt/ipidefer/bin/qemu-system-x86_64\n"
        "  ipidefer domain --from web1.xml --check\n\n"
        "Exit status: 0 done, or nothing to change; 1 could not run; 2 "
        "conflicts,\nor, with --check, changes are needed.");
    return [options] { return run_domain(*options); };
}

}  // namespace ipidefer::cli
