// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/cli/blame_target.hpp"

#include "base/failure.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"
#include "host/domain/qemu_process.hpp"
#include "host/segment/vmm_process.hpp"
#ifdef IPIDEFER_HAS_LIBVIRT
#include "host/libvirt/connection.hpp"
#endif

namespace ipidefer::cli {
namespace {

constexpr const char* kOneOf = "one of VM, --domain NAME and --pid PID";

#ifdef IPIDEFER_HAS_LIBVIRT
/// The name of a domain that runs.
std::string ask_libvirt(const std::string& domain)
{
    // PID files are those of this libvirt.
    const auto connection = libvirt::connect("qemu:///system");
    const auto found = libvirt::find_domain(connection.get(), domain);
    if (!libvirt::is_active(found.get()))
        throw Failure{Exit::kCannotRun,
                      "domain '" + printable(domain) + "' does not run"};
    return libvirt::name_of(found.get());
}
#else
std::string ask_libvirt(const std::string&)
{
    throw Failure{Exit::kNotPossible,
                  "ipidefer was built without libvirt, which knows UUIDs, and "
                  "which domains there are"};
}
#endif

/// The PID file tells, also where libvirtd is gone or its library missing. What
/// has none is a UUID, or does not run.
int process_of_domain(const std::string& domain)
{
    const auto in_file = [](const std::string& name) {
        return named_option("--domain",
                            [&] { return domain::qemu_process(name); });
    };
    if (const auto pid = in_file(domain)) return *pid;
    const std::string none =
        "--domain: there is no " + printable(domain::pid_file(domain).string());
    const std::string instead =
        "; --pid takes any process that runs a VM under KVM";
    std::string name;
    try {
        name = ask_libvirt(domain);
    } catch (const Failure& failure) {
        throw Failure{failure.exit(),
                      none + ", and " + failure.what() + instead};
    }
    if (const auto pid = in_file(name)) return *pid;
    throw Failure{Exit::kCannotRun, none + ", though libvirt says that '" +
                                        printable(name) + "' runs" + instead};
}

}  // namespace

void add_target_options(CLI::App& command, BlameTarget& target)
{
    command.add_option("vm", target.vm, "VM that has a segment, as in list");
    command.add_option("--domain", target.domain,
                       "a domain of the system's libvirt, by name or UUID");
    command.add_option("--pid", target.pid,
                       "the process that runs the VM, which need know nothing "
                       "of ipidefer");
}

int process_of(const BlameTarget& target, const segment::Place& place)
{
    const int given = (target.vm.empty() ? 0 : 1) +
                      (target.domain.empty() ? 0 : 1) +
                      (target.pid.has_value() ? 1 : 0);
    if (given == 0)
        throw Failure{Exit::kCannotRun,
                      std::string{"blame: whom? It needs "} + kOneOf};
    if (given > 1)
        throw Failure{
            Exit::kCannotRun,
            std::string{"blame: it looks at one VM at a time: "} + kOneOf};
    if (target.pid) {
        if (*target.pid <= 0)
            refuse_option("--pid", in_quotes(std::to_string(*target.pid)) +
                                       " is no process: PIDs begin with 1");
        return *target.pid;
    }
    if (!target.domain.empty()) return process_of_domain(target.domain);
    return segment::vmm_process(place, target.vm);
}

}  // namespace ipidefer::cli
