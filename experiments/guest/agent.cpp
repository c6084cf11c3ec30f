// SPDX-License-Identifier: GPL-2.0-or-later
// The lab's init process: sets the guest up, then does what the host asks for
// over the second serial port (protocol.hpp).
#include <sys/klog.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/json_reader.hpp"
#include "base/text.hpp"
#include "experiments/guest/files.hpp"
#include "experiments/guest/loops.hpp"
#include "experiments/guest/mounts.hpp"
#include "experiments/guest/nested.hpp"
#include "experiments/guest/port.hpp"
#include "experiments/guest/tracing.hpp"
#include "experiments/guest/workload.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab::agent {
namespace {

using nlohmann::json;
using Cpus = std::vector<unsigned>;

constexpr std::chrono::milliseconds kTscTimeout{60'000};
constexpr std::chrono::milliseconds kTscInterval{50};
/// Of one CPU's record, and of all of them: the port is slow.
constexpr std::size_t kMostRecord = std::size_t{128} << 10;
constexpr std::size_t kMostRecords = std::size_t{4} << 20;
constexpr char kStatsFile[] = "/sys/kernel/debug/x86/ipi_defer/stats";
constexpr char kResentFile[] = "/sys/kernel/debug/x86/ipi_defer/resent";

std::string online_cpus()
{
    const std::string text{
        trimmed(read_file("/sys/devices/system/cpu/online").value_or(""))};
    // A kernel that was built for one CPU, or runs on one, may not say.
    return text.empty() ? "0" : text;
}

/// Boot is not over before the kernel has refined the TSC's frequency, a second
/// or more after init began: it tells each CPU then, and stops all of them to
/// switch clocks. Its preliminary clock source goes with the end of that
/// (arch/x86/kernel/tsc.c, tsc_refine_calibration_work()); a VM that was told
/// the frequency has none.
bool calibrates_tsc()
{
    const std::string sources =
        read_file(
            "/sys/devices/system/clocksource/clocksource0/"
            "available_clocksource")
            .value_or("");
    return sources.find("tsc-early") != std::string::npos;
}

/// Lines of the kernel's log that mention ipi_defer, but not the command line.
std::vector<std::string> kernel_messages()
{
    constexpr int kReadAll = 3;
    constexpr int kSize = 10;
    const int size = ::klogctl(kSize, nullptr, 0);
    if (size <= 0) return {};
    std::string text(static_cast<std::size_t>(size), '\0');
    const int got = ::klogctl(kReadAll, text.data(), size);
    text.resize(static_cast<std::size_t>(std::max(got, 0)));
    std::vector<std::string> lines;
    for (const auto line : lines_of(text))
        if (line.find("ipi_defer: ") != std::string_view::npos)
            lines.emplace_back(line);
    return lines;
}

class Agent {
  public:
    Agent() : missing_{set_up_root()}, port_{protocol::kPort} {}

    void serve()
    {
        utsname system{};
        ::uname(&system);
        send({{protocol::kReady, true},
              {protocol::kRelease, system.release},
              {protocol::kVersion, system.version},
              {protocol::kOnline, online_cpus()},
              {protocol::kCommandLine,
               trimmed(read_file("/proc/cmdline").value_or(""))}});
        for (;;) {
            json reply;
            try {
                reply = obey(read_json(port_.read_line()));
            } catch (const std::exception& error) {
                reply = {{protocol::kError, error.what()}};
            }
            send(reply);
        }
    }

  private:
    void send(const json& message)
    {
        // Kernel text is ASCII, a workload's output need not even be UTF-8.
        port_.write_line(
            message.dump(-1, ' ', true, json::error_handler_t::replace));
    }

    /// The port is slow, and a workload may say much.
    void say_alive()
    {
        const auto now = std::chrono::steady_clock::now();
        if (now < said_alive_ + std::chrono::seconds{1}) return;
        said_alive_ = now;
        send({{protocol::kAlive, true}});
    }

    json obey(const json& request)
    {
        const std::string command = request.at(protocol::kCommand);
        if (command == protocol::kPrepare) return prepare(request);
        if (command == protocol::kStartLoops) return start_loops(request);
        if (command == protocol::kMarkLoops) return mark_loops();
        if (command == protocol::kStopLoops) return stop_loops();
        if (command == protocol::kStats) return {{protocol::kStats, stats()}};
        if (command == protocol::kSnapshot) return snapshot();
        if (command == protocol::kHistograms) return histograms();
        if (command == protocol::kRun) return run(request);
        if (command == protocol::kPowerOff) {
            ::sync();
            ::reboot(RB_POWER_OFF);
        }
        throw std::runtime_error{"unknown command '" + command + "'"};
    }

    /// A host that is busy spoils the kernel's measurement, and it begins anew.
    void await_tsc()
    {
        for (auto left = kTscTimeout; calibrates_tsc(); left -= kTscInterval) {
            if (left <= left.zero()) {
                missing_.emplace_back(
                    "the kernel still measures its TSC, and will interrupt all "
                    "CPUs when it has");
                return;
            }
            std::this_thread::sleep_for(kTscInterval);
            say_alive();
        }
    }

    json prepare(const json& request)
    {
        await_tsc();
        isolated_ = request.at(protocol::kIsolated).get<Cpus>();
        housekeeping_ = request.at(protocol::kHousekeeping).get<Cpus>();
        // It would end the undisturbed loops every second. Linux 6.12 stops it
        // even where it has stopped, which is a warning if that was a while
        // ago; for a CPU with a task, such as this one, it has not.
        for (const unsigned cpu : isolated_) {
            pin_to({cpu});
            const auto why =
                write_file("/sys/kernel/debug/sched/fair_server/cpu" +
                               std::to_string(cpu) + "/runtime",
                           "0");
            if (!why.empty())
                missing_.push_back("stopping the fair server: " + why);
        }
        pin_to(housekeeping_);
        std::vector<Tracing::Event> events;
        for (const auto& event : request.at(protocol::kEvents))
            events.push_back({event.at(protocol::kName),
                              event.at(protocol::kEvent),
                              event.at(protocol::kTrigger)});
        for (auto& why : tracing_.start(events))
            missing_.push_back(std::move(why));
        for (auto& why :
             record_.start(isolated_, request.at(protocol::kRecorded)))
            missing_.push_back(std::move(why));
        if (!read_file(kStatsFile))
            missing_.push_back(std::string{kStatsFile} + ": not there");
        return {{protocol::kMissing, missing_},
                {protocol::kMessages, kernel_messages()}};
    }

    json start_loops(const json& request)
    {
        loops_.reset();
        nested_.reset();
        record_.clear();
        if (request.at(protocol::kNested).get<bool>()) {
            nested_ = std::make_unique<NestedGuests>(isolated_);
            return json::object();
        }
        loops_ = std::make_unique<Loops>(
            isolated_, request.at(protocol::kThresholdNs).get<std::uint64_t>());
        return json::object();
    }

    json mark_loops()
    {
        if (!nested_) running_loops().mark();
        return json::object();
    }

    json stop_loops()
    {
        if (nested_)
            nested_->stop();
        else
            running_loops().stop();
        return json::object();
    }

    Loops& running_loops()
    {
        if (!loops_) throw std::runtime_error{"there are no loops"};
        return *loops_;
    }

    static json text_of(const char* file)
    {
        const auto text = read_file(file);
        return text ? json(*text) : json(nullptr);
    }
    static json stats() { return text_of(kStatsFile); }

    json snapshot()
    {
        json loops = json::array();
        if (loops_)
            for (const auto& seen : loops_->seen())
                loops.push_back(
                    {{protocol::kCpu, seen.cpu},
                     {protocol::kGaps, seen.interruptions},
                     {protocol::kLongestCycles, seen.longest_cycles},
                     {protocol::kLongestNs, seen.longest_ns},
                     {protocol::kState, seen.state},
                     {protocol::kRunsOn, seen.runs_on},
                     {protocol::kLeft, seen.left}});
        json nested = json::array();
        if (nested_)
            for (const auto& seen : nested_->seen())
                nested.push_back(
                    {{protocol::kCpu, seen.cpu},
                     {protocol::kExits, seen.exits},
                     {protocol::kInterruptExits, seen.interrupt_exits}});
        return {
            {protocol::kNestedGuests, nested},
            {protocol::kStats, stats()},
            {protocol::kResent, text_of(kResentFile)},
            {protocol::kInterrupts, read_file("/proc/interrupts").value_or("")},
            {protocol::kHists, tracing_.read()},
            {protocol::kLoops, loops}};
    }

    json histograms()
    {
        json loops = json::array();
        if (!loops_) return {{protocol::kLoops, loops}};
        const auto gaps = loops_->gaps();
        const auto records = record_.read(
            std::min(kMostRecord, kMostRecords / isolated_.size()));
        for (const auto& listed : loops_->list()) {
            json up_to = json::array();
            json counts = json::array();
            for (const auto& [nanoseconds, count] : gaps.at(listed.cpu)) {
                up_to.push_back(nanoseconds);
                counts.push_back(count);
            }
            json starts = json::array();
            json lengths = json::array();
            for (const Gap& gap : listed.gaps) {
                starts.push_back(gap.start);
                lengths.push_back(gap.length);
            }
            const auto record = records.find(listed.cpu);
            loops.push_back(
                {{protocol::kCpu, listed.cpu},
                 {protocol::kUpToNs, up_to},
                 {protocol::kCounts, counts},
                 {protocol::kStarts, starts},
                 {protocol::kLengths, lengths},
                 {protocol::kLeftOut, listed.left_out},
                 {protocol::kTrace, record == records.end()
                                        ? json(nullptr)
                                        : json(record->second.trace)},
                 {protocol::kTraceStats, record == records.end()
                                             ? json(nullptr)
                                             : json(record->second.stats)}});
        }
        return {{protocol::kLoops, loops},
                {protocol::kMarkedAt, loops_->marked_at()},
                {protocol::kCyclesPerNs, loops_->cycles_per_ns()}};
    }

    json run(const json& request)
    {
        const std::string file =
            std::string{protocol::kWorkloads} + "/" +
            request.at(protocol::kWorkload).get<std::string>();
        const auto ended = run_program({protocol::kBusybox, "sh", file},
                                       [this] { say_alive(); });
        return {{protocol::kStatus, ended.status},
                {protocol::kOutput, ended.output}};
    }

    std::vector<std::string> missing_;
    Port port_;
    std::chrono::steady_clock::time_point said_alive_;
    Cpus isolated_;
    Cpus housekeeping_;
    Tracing tracing_;
    Record record_;
    std::unique_ptr<Loops> loops_;
    std::unique_ptr<NestedGuests> nested_;
};

}  // namespace
}  // namespace ipidefer::lab::agent

int main()
{
    try {
        ipidefer::lab::agent::Agent{}.serve();
    } catch (const std::exception& error) {
        // The end of init is a panic, which the host sees on the console.
        std::fprintf(stderr, "lab-agent: %s\n", error.what());
        return 1;
    }
}
