// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/bench/bench_kvm.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/json_reader.hpp"
#include "base/json_writer.hpp"
#include "base/number_list.hpp"
#include "base/option_value.hpp"
#include "base/program.hpp"
#include "base/table.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "experiments/lab/kvm_report.hpp"

namespace ipidefer::bench {
namespace {

namespace fs = std::filesystem;
using lab::kMostBenchRounds;
using nlohmann::json;

// Marks of guests/scenarios/bench.cpp: round << 16 | end << 8 | phase.
constexpr unsigned kRoundShift = 16;
constexpr std::uint32_t kEnd = 1u << 8;
constexpr const char* kPhases[] = {"quiet", "delivered", "deferred"};
constexpr unsigned kLoopVcpu = 1;
constexpr unsigned kVcpus = 2;
constexpr unsigned kMostWindow = 20'000;
// What the guest binds; only the first may be recorded.
constexpr char kDeferredVector[] = "245";

[[noreturn]] void not_understood(const std::string& what)
{
    throw Failure{Exit::kCannotRun,
                  "the VMM's output is not what was expected: " + what};
}

BenchPhase& phase_of(BenchRound& round, std::uint64_t phase)
{
    if (phase == 0) return round.quiet;
    if (phase == 1) return round.delivered;
    if (phase == 2) return round.deferred;
    not_understood("phase " + std::to_string(phase));
}

const json& mark_of(const json& report, std::uint64_t value)
{
    for (const auto& mark : report.at("marks"))
        if (mark.at("value") == value) return mark;
    not_understood("no mark " + std::to_string(value));
}

struct Spread {
    double median, least, most;
};

Spread spread_of(std::vector<double> values)
{
    std::ranges::sort(values);
    const auto n = values.size();
    const double median =
        n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return {median, values.front(), values.back()};
}

json to_json(const Spread& spread)
{
    return {{"median", spread.median},
            {"least", spread.least},
            {"most", spread.most}};
}

json to_json(const BenchPhase& phase)
{
    return {{"ns", phase.ns},
            {"sent", phase.sent},
            {"loops", phase.loops},
            {"returns", phase.returns},
            {"exits", phase.exits}};
}

double progress(const BenchPhase& phase)
{
    return static_cast<double>(phase.loops) / static_cast<double>(phase.ns);
}

double cost(const BenchPhase& phase)
{
    return static_cast<double>(phase.ns) / static_cast<double>(phase.sent);
}

/// One column of a row of medians, least and most.
std::string cell(const json& spread, int digits)
{
    return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})",
                       spread.at("median").get<double>(), digits,
                       spread.at("least").get<double>(), digits,
                       spread.at("most").get<double>(), digits);
}

/// Two host CPUs that this process may use.
std::string two_cpus()
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof(set), &set) != 0)
        throw Failure{Exit::kCannotRun, "sched_getaffinity failed"};
    std::string list;
    unsigned found = 0;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && found < 2; ++cpu)
        if (CPU_ISSET(cpu, &set)) {
            if (found != 0) list += ',';
            list += std::to_string(cpu);
            ++found;
        }
    if (found < 2)
        throw Failure{Exit::kNotPossible,
                      "two host CPUs are needed: sharing one, loop and sender "
                      "would measure the scheduler"};
    return list;
}

}  // namespace

void add_options(CLI::App& app, BenchKvmOptions& options)
{
    app.add_option("--rounds", options.rounds,
                   "rounds of an undisturbed, a delivered and a deferred phase")
        ->capture_default_str();
    app.add_option("--window", options.window,
                   "length of a phase, in millions of TSC ticks")
        ->capture_default_str();
    app.add_option("--pin", options.pin,
                   "host CPUs of sender and loop, as in 0,1 "
                   "(default: the first two)");
    app.add_option("--json", options.json, "write a report here, - for stdout");
}

void check_options(const BenchKvmOptions& options)
{
    check_within("--rounds", options.rounds, 1, kMostBenchRounds);
    check_within("--window", options.window, 1, kMostWindow,
                 " million TSC ticks");
    (void)parse_host_cpus("--pin", options.pin, kVcpus, "vCPUs",
                          Sharing::kRefused);
    check_output("--json", options.json);
}

json read_vmm_report(std::string_view text)
{
    json report;
    try {
        report = read_json(text);
    } catch (const Failure& failure) {
        not_understood(failure.what());
    }
    if (!report.is_object()) not_understood("its report is no object");
    return report;
}

std::vector<BenchRound> bench_rounds(std::string_view console,
                                     const json& report)
{
    std::vector<BenchRound> rounds;
    for (const auto line : lines_of(console)) {
        if (!line.starts_with("round=")) continue;
        std::map<std::string, std::uint64_t, std::less<>> values;
        for (const auto word : words_of(line)) {
            const auto equals = word.find('=');
            const auto value =
                equals == std::string_view::npos
                    ? std::nullopt
                    : number_of<std::uint64_t>(word.substr(equals + 1));
            if (!value) not_understood(std::string{line});
            values[std::string{word.substr(0, equals)}] = *value;
        }
        const std::uint64_t index = values["round"];
        if (index >= kMostBenchRounds) not_understood(std::string{line});
        if (rounds.size() <= index) rounds.resize(index + 1);
        const std::uint64_t number = values["phase"];
        BenchPhase& phase = phase_of(rounds[index], number);
        const json& begin = mark_of(report, index << kRoundShift | number);
        const json& end = mark_of(report, index << kRoundShift | kEnd | number);
        const auto gained = [&](const char* name) -> std::uint64_t {
            const auto& a = begin.at("vcpus").at(kLoopVcpu).at(name);
            const auto& b = end.at("vcpus").at(kLoopVcpu).at(name);
            if (a.is_null() || b.is_null()) return 0;
            return b.get<std::uint64_t>() - a.get<std::uint64_t>();
        };
        phase.ns = end.at("ns").get<std::uint64_t>() -
                   begin.at("ns").get<std::uint64_t>();
        phase.sent = values["sent"];
        phase.loops = values["loops"];
        phase.returns = gained("returns");
        phase.exits = gained("exits");
    }
    if (rounds.empty()) not_understood("no rounds");
    for (const auto& round : rounds)
        if (round.quiet.ns == 0 || round.delivered.sent == 0 ||
            round.deferred.sent == 0 || round.quiet.loops == 0)
            not_understood("a round without one of its phases");
    return rounds;
}

json bench_json(const std::vector<BenchRound>& rounds, const json& vmm_report)
{
    json report{{"schema", "ipidefer-bench-kvm/1"},
                {"kvm", vmm_report.at("kvm")},
                {"rounds", json::array()}};
    std::vector<double> delivered, deferred, delivered_ns, deferred_ns, costs;
    std::map<std::string, std::vector<double>> returns, exits;
    for (const auto& round : rounds) {
        const BenchPhase* phases[] = {&round.quiet, &round.delivered,
                                      &round.deferred};
        json entry;
        for (unsigned i = 0; i < std::size(kPhases); ++i) {
            entry[kPhases[i]] = to_json(*phases[i]);
            returns[kPhases[i]].push_back(
                static_cast<double>(phases[i]->returns));
            exits[kPhases[i]].push_back(static_cast<double>(phases[i]->exits));
        }
        report["rounds"].push_back(entry);
        delivered.push_back(progress(round.delivered) / progress(round.quiet));
        deferred.push_back(progress(round.deferred) / progress(round.quiet));
        delivered_ns.push_back(cost(round.delivered));
        deferred_ns.push_back(cost(round.deferred));
        costs.push_back(cost(round.deferred) / cost(round.delivered));
    }
    report["progress_over_quiet"] = {
        {"delivered", to_json(spread_of(delivered))},
        {"deferred", to_json(spread_of(deferred))}};
    report["sender_ns_per_ipi"] = {
        {"delivered", to_json(spread_of(delivered_ns))},
        {"deferred", to_json(spread_of(deferred_ns))}};
    report["sender_cost_deferred_over_delivered"] = to_json(spread_of(costs));
    for (const char* phase : kPhases) {
        report["returns_to_vmm"][phase] = to_json(spread_of(returns[phase]));
        report["kvm_exits"][phase] = to_json(spread_of(exits[phase]));
    }
    return report;
}

std::string bench_table(const json& report)
{
    std::ostringstream out;
    const std::string backend = report.at("kvm").at("backend");
    const bool counted = report.at("kvm").at("exits_counted");
    out << "median (least to most) of " << report.at("rounds").size()
        << " rounds; KVM: " << backend << '\n';
    if (backend != "whole")
        out << "This KVM executes ring 0 in software, or may: compare the "
               "columns,\ndo not take them for those of a processor.\n";
    Table table{{Table::left("", 28), Table::right("undisturbed"),
                 Table::right("delivered", 28), Table::right("deferred", 28)}};
    const auto row = [&](const char* label, const std::string& quiet,
                         const std::string& delivered,
                         const std::string& deferred) {
        table.row({label, quiet, delivered, deferred});
    };
    const auto& ratio = report.at("progress_over_quiet");
    row("loop progress", "1", cell(ratio.at("delivered"), 3),
        cell(ratio.at("deferred"), 3));
    const auto& ns = report.at("sender_ns_per_ipi");
    row("sender, ns per IPI", "-", cell(ns.at("delivered"), 0),
        cell(ns.at("deferred"), 0));
    row("  deferred over delivered", "", "",
        cell(report.at("sender_cost_deferred_over_delivered"), 3));
    const auto counts = [&](const char* label, const json& by) {
        row(label, std::to_string(by.at("quiet").at("median").get<long>()),
            cell(by.at("delivered"), 0), cell(by.at("deferred"), 0));
    };
    counts("loop's returns to the VMM", report.at("returns_to_vmm"));
    if (counted)
        counts("loop's exits, host's included", report.at("kvm_exits"));
    return out.str() + table.text();
}

int bench_kvm(const fs::path& vmm, const fs::path& guest,
              const BenchKvmOptions& options)
{
    check_options(options);
    for (const fs::path& file : {vmm, guest})
        if (!fs::exists(file))
            throw Failure{Exit::kCannotRun, file.string() + " is not there"};
    // In memory: nothing is left of it, however this ends.
    const UniqueFd file{::memfd_create("report", MFD_CLOEXEC)};
    if (!file) throw system_failure("memfd_create");
    // Far more than the phases take, if a tick is half a nanosecond or so.
    const std::uint64_t timeout =
        60 + 3ull * options.rounds * options.window / 250;
    const auto result = run_program(
        vmm,
        {"--guest", guest.string(), "--cpus", std::to_string(kVcpus),
         "--isolated", std::to_string(kLoopVcpu), "--vectors", kDeferredVector,
         "--pin", options.pin.empty() ? two_cpus() : options.pin, "--timeout",
         std::to_string(timeout), "--quiet", "--json", "/proc/self/fd/3",
         "--append",
         "scenario=bench rounds=" + std::to_string(options.rounds) +
             " window=" + std::to_string(options.window)},
        {file.get()});
    if (result.status != 0) {
        const auto known = {Exit::kCannotRun, Exit::kDefect,
                            Exit::kNotPossible};
        for (const Exit exit : known)
            if (result.status == static_cast<int>(exit))
                throw Failure{exit, "ipidefer-vmm could not do it",
                              result.output};
        throw Failure{
            Exit::kCannotRun,
            "ipidefer-vmm ended with status " + std::to_string(result.status),
            result.output};
    }
    const json vmm_report = read_vmm_report(
        read_whole("/proc/self/fd/" + std::to_string(file.get())));
    json report;
    try {
        report =
            bench_json(bench_rounds(result.output, vmm_report), vmm_report);
    } catch (const json::exception& error) {
        not_understood(error.what());
    }
    (options.json == "-" ? std::cerr : std::cout) << bench_table(report);
    if (!options.json.empty()) write_report(options.json, report);
    return static_cast<int>(Exit::kDone);
}

}  // namespace ipidefer::bench
