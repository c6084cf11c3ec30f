// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/options.hpp"

#include <optional>

#include "base/duration.hpp"
#include "base/number_list.hpp"
#include "base/option_value.hpp"
#include "base/text.hpp"

namespace ipidefer::vmm {
namespace {

constexpr unsigned kMostCpus = 254;  // 8-bit APIC IDs, without 255
constexpr unsigned kMiB = 1u << 20;

[[noreturn]] void refuse(const std::string& option, const std::string& value,
                         const std::string& why)
{
    refuse_option(option, in_quotes(value) + ' ' + why);
}

std::chrono::nanoseconds age_of(const RawOptions& raw)
{
    return named_option("--max-age",
                        [&] { return parse_duration(raw.max_age); });
}

terms::PolicyChange check_policy(const RawOptions& raw)
{
    terms::PolicyChange policy;
    policy.enabled = parse_switch("--defer", raw.enabled);
    policy.user = parse_switch("--user", raw.user);
    policy.guest = parse_switch("--guest-context", raw.guest_context);
    policy.idle = parse_switch("--idle", raw.idle);
    const auto isolated =
        parse_number_list("--isolated", raw.isolated, 0, raw.cpus - 1);
    policy.isolated = CpuSet{isolated.begin(), isolated.end()};
    // No guest can bind others.
    for (unsigned vector = IPI_DEFER_VECTOR_FIRST;
         vector <= IPI_DEFER_VECTOR_LAST; ++vector)
        policy.vectors[static_cast<std::uint8_t>(vector)] = false;
    for (const unsigned vector :
         parse_number_list("--vectors", raw.vectors, IPI_DEFER_VECTOR_FIRST,
                           IPI_DEFER_VECTOR_LAST))
        policy.vectors[static_cast<std::uint8_t>(vector)] = true;
    policy.max_age = age_of(raw);
    return policy;
}

/// Options of a segment mean nothing without one, whatever they say, unless it
/// is the default.
void refuse_without_segment(const RawOptions& raw)
{
    const auto needs = [](const std::string& option, const std::string& value,
                          bool given) {
        if (given) refuse(option, value, "needs --segment on");
    };
    const RawOptions defaults;
    needs("--max-age", raw.max_age, age_of(raw) != std::chrono::nanoseconds{});
    needs("--trace", raw.trace, parse_switch("--trace", raw.trace));
    needs("--name", raw.name, raw.name != defaults.name);
    needs("--segment-dir", raw.segment_dir,
          raw.segment_dir != defaults.segment_dir);
    needs("--segment-mode", raw.segment_mode,
          raw.segment_mode != defaults.segment_mode);
    needs("--segment-group", raw.segment_group,
          raw.segment_group != defaults.segment_group);
    needs("--trace-entries", std::to_string(raw.trace_entries),
          raw.trace_entries != defaults.trace_entries);
}

std::optional<SegmentConfig> check_segment(const RawOptions& raw)
{
    if (!parse_switch("--segment", raw.segment)) {
        refuse_without_segment(raw);
        return std::nullopt;
    }
    SegmentConfig segment;
    if (raw.name.empty() || raw.name.size() >= IPIDEFER_SEGMENT_NAME)
        refuse("--name", raw.name,
               "is no name for a segment: that has 1 to " +
                   std::to_string(IPIDEFER_SEGMENT_NAME - 1) + " bytes");
    segment.name = raw.name;
    segment.directory = raw.segment_dir;
    const auto mode = number_of<unsigned>(raw.segment_mode, 8);
    if (!mode || *mode == 0 || *mode > 0777)
        refuse("--segment-mode", raw.segment_mode,
               "is not an octal number from 1 to 777");
    segment.mode = *mode;
    if (!raw.segment_group.empty()) {
        const auto group = group_of(raw.segment_group);
        if (!group)
            refuse("--segment-group", raw.segment_group,
                   "is neither a group nor the number of one");
        segment.group = *group;
    }
    segment.trace_entries = raw.trace_entries;
    if (ipidefer_segment_bytes(raw.cpus, raw.trace_entries) == 0)
        refuse("--trace-entries", std::to_string(raw.trace_entries),
               "is neither 0 nor a power of two up to " +
                   std::to_string(IPIDEFER_SEGMENT_MAX_RING));
    return segment;
}

}  // namespace

void add_options(CLI::App& app, RawOptions& raw)
{
    // A script may add options to a command line that has them already.
    app.option_defaults()->multi_option_policy(
        CLI::MultiOptionPolicy::TakeLast);
    app.add_option("--guest", raw.guest,
                   "ELF (PVH, multiboot, or plain) or flat image to run");
    app.add_option("--cpus", raw.cpus, "vCPUs")->capture_default_str();
    app.add_option("--mem", raw.memory, "RAM, as in 64M or 2G")
        ->capture_default_str();
    app.add_option("--append", raw.append, "more for the guest's command line");
    app.add_option("--load", raw.load, "where a flat image goes")
        ->capture_default_str();
    app.add_option("--isolated", raw.isolated,
                   "vCPUs whose IPIs may be recorded, as in 1-2");
    app.add_option("--vectors", raw.vectors, "vectors that may be recorded")
        ->capture_default_str();
    app.add_option("--defer", raw.enabled, "record at all: on or off")
        ->capture_default_str();
    app.add_option("--user", raw.user, "record in user code: on or off")
        ->capture_default_str();
    app.add_option("--guest-context", raw.guest_context,
                   "record while a nested guest runs: on or off")
        ->capture_default_str();
    app.add_option("--idle", raw.idle, "record while idle: on or off")
        ->capture_default_str();
    app.add_option("--pin", raw.pin,
                   "host CPUs, one for each vCPU in order, as in 0,1");
    app.add_option("--segment", raw.segment,
                   "share policy, counters and a trace with the host tools: on "
                   "or off; the options from --name to --max-age need on")
        ->capture_default_str();
    app.add_option("--name", raw.name, "what the host tools call the VM");
    app.add_option("--segment-dir", raw.segment_dir,
                   "where the segment is (default: the user's folder "
                   "in " IPIDEFER_SHM_PARENT ")");
    app.add_option("--segment-mode", raw.segment_mode,
                   "its permissions, octal; who may write may steer")
        ->capture_default_str();
    app.add_option("--segment-group", raw.segment_group, "its group");
    app.add_option("--trace-entries", raw.trace_entries,
                   "events that it holds: 0 or a power of two")
        ->capture_default_str();
    app.add_option("--trace", raw.trace,
                   "trace from the first IPI on: on or off; needs --segment on")
        ->capture_default_str();
    app.add_option("--max-age", raw.max_age,
                   "deliver recorded work that has waited longer, as in 10ms; "
                   "0: never; needs --segment on")
        ->capture_default_str();
    app.add_option("--timeout", raw.timeout, "seconds that the guest may take")
        ->capture_default_str();
    app.add_option("--json", raw.json, "write a report here, - for stdout");
    app.add_flag("--quiet", raw.quiet, "no table at the end");
    app.add_flag("--probe", raw.probe,
                 "say in one line what KVM offers here, and end");
}

Options check_options(const RawOptions& raw)
{
    Options options;
    if (raw.guest.empty()) refuse_option("--guest", "not given");
    options.guest = raw.guest;
    MachineConfig& machine = options.machine;
    machine.vcpus = check_within("--cpus", raw.cpus, 1, kMostCpus);
    machine.ram_bytes =
        parse_memory("--mem", raw.memory, kLeastRam / kMiB, kMostRam / kMiB) *
        kMiB;
    machine.append = raw.append;
    machine.policy = check_policy(raw);
    machine.trace = parse_switch("--trace", raw.trace);
    machine.segment = check_segment(raw);
    machine.pin =
        parse_host_cpus("--pin", raw.pin, raw.cpus, "vCPUs", Sharing::kAllowed);
    const auto load = number_of<std::uint64_t>(raw.load, 0);
    if (!load || *load >= machine.ram_bytes)
        refuse("--load", raw.load,
               "is not an address below " + std::to_string(machine.ram_bytes));
    options.flat_gpa = *load;
    options.timeout =
        check_within("--timeout", raw.timeout, 1, kLongestTimeout, " seconds");
    check_output("--json", raw.json);
    options.json = raw.json;
    options.quiet = raw.quiet;
    return options;
}

}  // namespace ipidefer::vmm
