// SPDX-License-Identifier: GPL-2.0-or-later
// ipidefer-vmm: a small KVM VMM whose local APIC is in userspace, so that it
// sees every IPI, and may defer it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "base/command_line.hpp"
#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/json_writer.hpp"
#include "base/version.hpp"
#include "vmm/kvm/src/image.hpp"
#include "vmm/kvm/src/kvm.hpp"
#include "vmm/kvm/src/machine.hpp"
#include "vmm/kvm/src/options.hpp"
#include "vmm/kvm/src/report.hpp"

namespace {

using namespace ipidefer::vmm;
using ipidefer::Exit;

constexpr std::size_t kMostImage = 256u << 20;

Exit status_of(const Outcome& outcome)
{
    switch (outcome.kind) {
        case Outcome::Kind::kExit:
            return outcome.status == 0 ? Exit::kDone : Exit::kDefect;
        case Outcome::Kind::kGuestFailed:
        case Outcome::Kind::kTimeout:
            return Exit::kDefect;
        case Outcome::Kind::kSignal:
        case Outcome::Kind::kBroken:
            return Exit::kCannotRun;
    }
    return Exit::kCannotRun;
}

Exit run(const Options& options)
{
    const Kvm kvm;
    const std::string file = ipidefer::read_whole(options.guest, kMostImage);
    const auto image = read_image(std::as_bytes(std::span{file}),
                                  options.machine.ram_bytes, options.flat_gpa);
    Machine machine{kvm, options.machine};
    machine.load(image);
    const Outcome outcome = machine.run(options.timeout, STDOUT_FILENO);

    const auto report = report_json(machine, outcome, kvm.probe());
    if (!options.quiet) std::cout << report_table(report) << std::flush;
    if (!options.json.empty()) ipidefer::write_report(options.json, report);
    if (outcome.kind == Outcome::Kind::kExit && outcome.status != 0)
        std::cerr << "ipidefer-vmm: the guest ended with status "
                  << outcome.status << '\n';
    if (outcome.kind != Outcome::Kind::kExit)
        std::cerr << "ipidefer-vmm: " << name(outcome.kind) << ": "
                  << outcome.text << '\n';
    return status_of(outcome);
}

Exit probe()
{
    const Probe found = probe_kvm();
    std::cout << found.line << '\n';
    return found.sufficient ? Exit::kDone : Exit::kNotPossible;
}

int run(int argc, char** argv)
{
    CLI::App app{
        "ipidefer-vmm: runs freestanding guests under KVM, and defers their "
        "IPIs",
        "ipidefer-vmm"};
    app.set_version_flag("--version", ipidefer::version_text("ipidefer-vmm"));
    RawOptions raw;
    add_options(app, raw);
    app.footer(
        "Exit status: 0 done, 1 could not run, 2 the guest failed,\n"
        "77 not possible here.");
    if (const auto status = ipidefer::parse_command_line(app, argc, argv))
        return *status;
    return static_cast<int>(raw.probe ? probe() : run(check_options(raw)));
}

}  // namespace

int main(int argc, char** argv)
{
    return ipidefer::main_of("ipidefer-vmm", [&] { return run(argc, argv); });
}
