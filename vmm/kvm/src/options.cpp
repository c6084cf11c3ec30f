// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/options.hpp"

#include <sched.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "base/failure.hpp"
#include "base/number_list.hpp"

namespace ipidefer::vmm {
namespace {

constexpr unsigned kMostCpus = 254;  // 8-bit APIC IDs, without 255
constexpr unsigned kLongestTimeout = 24 * 3600;
constexpr unsigned kMiB = 1u << 20;

[[noreturn]] void refuse(const std::string& option, const std::string& value,
                         const std::string& why)
{
    throw Failure{Exit::kCannotRun, option + " '" + value + "': " + why};
}

std::optional<std::uint64_t> number_of(std::string_view text)
{
    int base = 10;
    if (text.starts_with("0x")) {
        base = 16;
        text.remove_prefix(2);
    }
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value, base);
    if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
    return value;
}

std::size_t check_memory(const std::string& text)
{
    std::string_view digits = text;
    std::uint64_t unit = 0;
    if (digits.ends_with('M')) unit = 1;
    if (digits.ends_with('G')) unit = 1024;
    if (unit != 0) digits.remove_suffix(1);
    const auto number = unit == 0 ? std::nullopt : number_of(digits);
    if (!number)
        refuse("--mem", text,
               "not a number of megabytes or gigabytes, as in 64M or 2G");
    if (*number > kMostRam / kMiB || *number * unit < kLeastRam / kMiB ||
        *number * unit > kMostRam / kMiB)
        refuse("--mem", text,
               "not within " + std::to_string(kLeastRam / kMiB) + "M and " +
                   std::to_string(kMostRam / kMiB) + "M");
    return static_cast<std::size_t>(*number * unit * kMiB);
}

std::uint64_t check_age(const std::string& text)
{
    struct Unit {
        std::string_view name;
        std::uint64_t ns;
    };
    constexpr Unit kUnits[] = {
        {"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}};
    constexpr std::uint64_t kLongest = 1'000'000'000'000'000;
    if (text == "0") return 0;
    const auto digits = text.find_first_not_of("0123456789");
    if (digits != std::string::npos)
        for (const Unit& unit : kUnits) {
            const auto number = number_of(text.substr(0, digits));
            if (unit.name != text.substr(digits) || !number) continue;
            if (*number > kLongest / unit.ns)
                refuse("--max-age", text, "longer than 11 days");
            return *number * unit.ns;
        }
    refuse("--max-age", text,
           "not a time, as in 10ms; units are ns, us, ms, s");
}

bool check_switch(const std::string& option, const std::string& text)
{
    if (text == "on") return true;
    if (text == "off") return false;
    refuse(option, text, "neither on nor off");
}

std::optional<SegmentConfig> check_segment(const RawOptions& raw)
{
    if (!check_switch("--segment", raw.segment)) {
        if (check_age(raw.max_age) != 0)
            refuse("--max-age", raw.max_age, "needs --segment on");
        if (check_switch("--trace", raw.trace))
            refuse("--trace", raw.trace, "needs --segment on");
        return std::nullopt;
    }
    SegmentConfig segment;
    if (raw.name.empty() || raw.name.size() >= IPIDEFER_SEGMENT_NAME)
        refuse("--name", raw.name,
               "with --segment on, a name of 1 to " +
                   std::to_string(IPIDEFER_SEGMENT_NAME - 1) +
                   " bytes is needed");
    segment.name = raw.name;
    segment.directory = raw.segment_dir;
    unsigned mode = 0;
    const char* const end = raw.segment_mode.data() + raw.segment_mode.size();
    const auto [at, error] =
        std::from_chars(raw.segment_mode.data(), end, mode, 8);
    if (error != std::errc{} || at != end || mode == 0 || mode > 0777)
        refuse("--segment-mode", raw.segment_mode,
               "not an octal number from 1 to 777");
    segment.mode = mode;
    if (!raw.segment_group.empty()) {
        const auto group = group_of(raw.segment_group);
        if (!group)
            refuse("--segment-group", raw.segment_group,
                   "neither a group nor the number of one");
        segment.group = *group;
    }
    segment.trace_entries = raw.trace_entries;
    if (ipidefer_segment_bytes(raw.cpus, raw.trace_entries) == 0)
        refuse("--trace-entries", std::to_string(raw.trace_entries),
               "neither 0 nor a power of two up to " +
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
                   "or off")
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
    if (raw.guest.empty())
        throw Failure{Exit::kCannotRun, "--guest: not given"};
    options.guest = raw.guest;
    if (raw.cpus < 1 || raw.cpus > kMostCpus)
        refuse("--cpus", std::to_string(raw.cpus),
               "not within 1 and " + std::to_string(kMostCpus));
    MachineConfig& machine = options.machine;
    machine.vcpus = raw.cpus;
    machine.ram_bytes = check_memory(raw.memory);
    machine.append = raw.append;
    machine.policy.isolated =
        parse_number_list("--isolated", raw.isolated, 0, raw.cpus - 1);
    machine.policy.vectors =
        parse_number_list("--vectors", raw.vectors, IPI_DEFER_VECTOR_FIRST,
                          IPI_DEFER_VECTOR_LAST);
    machine.policy.enabled = check_switch("--defer", raw.enabled);
    machine.policy.user = check_switch("--user", raw.user);
    machine.policy.guest = check_switch("--guest-context", raw.guest_context);
    machine.policy.idle = check_switch("--idle", raw.idle);
    machine.policy.max_age_ns = check_age(raw.max_age);
    machine.policy.trace = check_switch("--trace", raw.trace);
    machine.segment = check_segment(raw);
    machine.pin = parse_number_list("--pin", raw.pin, 0, CPU_SETSIZE - 1);
    if (!machine.pin.empty() && machine.pin.size() != raw.cpus)
        refuse("--pin", raw.pin,
               std::to_string(machine.pin.size()) + " host CPUs for " +
                   std::to_string(raw.cpus) + " vCPUs");
    const auto load = number_of(raw.load);
    if (!load || *load >= machine.ram_bytes)
        refuse("--load", raw.load,
               "not an address below " + std::to_string(machine.ram_bytes));
    options.flat_gpa = *load;
    if (raw.timeout < 1 || raw.timeout > kLongestTimeout)
        refuse(
            "--timeout", std::to_string(raw.timeout),
            "not within 1 and " + std::to_string(kLongestTimeout) + " seconds");
    options.timeout = raw.timeout;
    options.json = raw.json;
    options.quiet = raw.quiet;
    return options;
}

}  // namespace ipidefer::vmm
