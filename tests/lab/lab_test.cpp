// SPDX-License-Identifier: GPL-2.0-or-later
// The lab on real guests: what a good run shows, and that a bad one is seen.
// One case per call: lab_nested_test IPIDEFER CASE. ctest bounds each one; the
// lab's --timeout is only given where silence is what the case is about.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/program.hpp"
#include "base/scratch.hpp"
#include "experiments/lab/typed_work.hpp"
#include "tests/support/tools_on_a_vm.hpp"

namespace {

namespace fs = std::filesystem;
using ipidefer::Exit;
using ipidefer::ProgramResult;
using ipidefer::Scratch;
using nlohmann::json;
using Arguments = std::vector<std::string>;

constexpr int kSkipped = 77;
/// What the lab promises of its default workload, and of vmalloc.
constexpr std::uint64_t kLeastEvents = 500;
constexpr std::uint64_t kLeastFlushes = 150;
constexpr std::uint64_t kLeastNestedEvents = 100;

struct Skip : std::runtime_error {
    using runtime_error::runtime_error;
};

void expect(bool good, const std::string& what, const std::string& output)
{
    if (!good) throw std::runtime_error{what + "\n---- output:\n" + output};
}

class Lab {
  public:
    explicit Lab(fs::path program) : program_{std::move(program)} {}

    /// `ipidefer lab run` with a report; whatever else it was given.
    ProgramResult run(Arguments more)
    {
        Arguments arguments{"lab", "run", "--json", report_file().string()};
        // That the host had other things to run says nothing of the guest.
        if (std::ranges::find(more, "--retries") == more.end())
            arguments.insert(arguments.end(), {"--retries", "3"});
        arguments.insert(arguments.end(), more.begin(), more.end());
        auto result = ipidefer::run_program(program_, arguments);
        std::cout << result.output << std::flush;
        return result;
    }

    [[nodiscard]] fs::path report_file() const
    {
        return scratch_.path() / "report.json";
    }
    [[nodiscard]] json report() const
    {
        return json::parse(ipidefer::read_whole(report_file()));
    }
    [[nodiscard]] const fs::path& program() const { return program_; }
    [[nodiscard]] const fs::path& scratch() const { return scratch_.path(); }

  private:
    fs::path program_;
    Scratch scratch_;
};

void expect_status(const ProgramResult& result, int status)
{
    expect(result.status == status,
           "exit status " + std::to_string(result.status) + ", not " +
               std::to_string(status),
           result.output);
}

void expect_status(const ProgramResult& result, Exit status)
{
    expect_status(result, static_cast<int>(status));
}

void expect_said(const ProgramResult& result, const std::string& text)
{
    expect(result.output.find(text) != std::string::npos,
           "'" + text + "' was not said", result.output);
}

std::uint64_t events(const json& run, const std::string& callback)
{
    return run["guest"]["events"].value(callback, std::uint64_t{0});
}

/// The seed's table: off sends function calls, the others send nothing that
/// reaches userspace, and all counts agree.
void table(Lab& lab)
{
    const auto result = lab.run({});
    expect_status(result, Exit::kDone);
    const json report = lab.report();
    const std::string text = report.dump(2);
    expect(report["schema"] == "ipidefer-lab/1", "another schema", text);
    expect(report["runs"].size() == 3, "not three runs", text);
    for (const auto& run : report["runs"]) {
        const std::string mode = run["mode"];
        expect(run["agree"] == true, mode + ": disagreement", text);
        expect(run["guest"]["mode"] == mode, mode + ": ran as another", text);
        if (mode == "off") {
            expect(events(run, "do_sync_core") >= kLeastEvents,
                   "off: too few events", text);
            continue;
        }
        expect(events(run, "do_sync_core") == 0, mode + ": function calls",
               text);
        expect(events(run, "typed:sync_core") >= kLeastEvents,
               mode + ": too few requests", text);
    }
    // Two counts of the same, by guest and by VMM.
    const json& hv = report["runs"][2];
    std::uint64_t verdicts = 0;
    for (const auto& [vector, by] : hv["vmm"]["verdicts"].items()) {
        verdicts += by["deferred"].get<std::uint64_t>() +
                    by["coalesced"].get<std::uint64_t>();
        for (const auto& [reason, count] : by["delivered"].items())
            verdicts += count.get<std::uint64_t>();
    }
    std::uint64_t requests = 0;
    for (const auto& [name, count] : hv["guest"]["events"].items())
        if (name.starts_with("typed:")) requests += count.get<std::uint64_t>();
    expect(verdicts == requests,
           "hv: the VMM decided " + std::to_string(verdicts) + " times", text);
}

/// A typed interrupt needs another one that has the vCPU in the kernel.
void expect_undisturbed(const json& run, const std::string& typed_row,
                        const std::string& output)
{
    std::uint64_t others = 0;
    for (const auto& [row, taken] : run["guest"]["interrupts"].items())
        if (std::ranges::none_of(
                ipidefer::lab::kTypedWorks,
                [&row = row](const auto& work) { return work.row == row; }))
            others += taken.get<std::uint64_t>();
    expect(run["guest"]["interrupts"][typed_row].get<std::uint64_t>() <= others,
           run["mode"].get<std::string>() + ": typed interrupts", output);
}

/// What unmaps kernel memory sends TLB flushes in off, and none that reaches
/// userspace in the others.
void kernel_memory(Lab& lab)
{
    const auto result = lab.run({"--workload", "vmalloc"});
    expect_status(result, Exit::kDone);
    const json report = lab.report();
    const std::string text = report.dump(2);
    for (const auto& run : report["runs"]) {
        const std::string mode = run["mode"];
        const auto calls = events(run, "do_flush_tlb_all") +
                           events(run, "do_kernel_range_flush");
        const auto typed = events(run, "typed:kernel_tlbi");
        if (mode == "off") {
            expect(calls >= kLeastFlushes, "off: too few flushes", text);
            expect(typed == 0, "off: typed requests", text);
            continue;
        }
        expect(typed >= kLeastFlushes, mode + ": too few requests", text);
        // Some are never deferred: few, or the call sites are not converted.
        expect(calls < kLeastFlushes / 10, mode + ": flushes", text);
        expect_undisturbed(run, "DTL", text);
    }
}

/// Nothing else sends them into the kernel here, so nothing typed may arrive.
void static_keys_undisturbed(Lab& lab)
{
    const auto result =
        lab.run({"--modes", "guest,hv", "--workload", "static-keys"});
    expect_status(result, Exit::kDone);
    const json report = lab.report();
    for (const auto& run : report["runs"]) {
        const std::string mode = run["mode"];
        expect(events(run, "typed:sync_core") > 0, mode + ": no requests",
               report.dump(2));
        expect_undisturbed(run, "DSC", report.dump(2));
    }
}

/// With a nested guest on each isolated vCPU: as many exits as there are
/// synchronisations in off, none for them in the others.
void nested_guest(Lab& lab)
{
    const auto result = lab.run({"--nested"});
    expect_status(result, Exit::kDone);
    const json report = lab.report();
    const std::string text = report.dump(2);
    for (const auto& run : report["runs"]) {
        const std::string mode = run["mode"];
        expect(run["nested"].size() == 2, mode + ": not two nested guests",
               text);
        std::uint64_t forced = 0;
        for (const auto& [cpu, guest] : run["nested"].items()) {
            expect(guest["context_before"] == "guest" &&
                       guest["context_after"] == "guest",
                   mode + ": vCPU " + cpu + " does not run its guest", text);
            forced += guest["interrupt_exits"].get<std::uint64_t>();
        }
        if (mode == "off") {
            const auto calls = events(run, "do_sync_core");
            expect(calls >= kLeastNestedEvents, "off: too few events", text);
            // Two that come close together may share an exit.
            expect(forced >= calls / 2, "off: IPIs force no exits", text);
            continue;
        }
        const auto typed = events(run, "typed:sync_core");
        expect(typed >= kLeastNestedEvents, mode + ": too few requests", text);
        expect_undisturbed(run, "DSC", text);
        // Whatever else came, it was not for the work that is deferred.
        std::uint64_t taken = 0;
        for (const auto& [row, count] : run["guest"]["interrupts"].items())
            taken += count.get<std::uint64_t>();
        expect(forced <= taken, mode + ": exits without interrupts", text);
        expect(forced < typed / 4, mode + ": forced exits", text);
    }
}

/// A flush that the VM exit leaves out is seen.
void nested_dropped_flush(Lab& lab)
{
    const auto result = lab.run({"--nested", "--modes", "hv", "--append",
                                 "ipi_defer_fault=drop_flush"});
    expect_status(result, Exit::kDefect);
    expect_said(result, "flushed or pending, but");
    expect(lab.report()["runs"][0]["agree"] == false, "it agrees",
           result.output);
}

void dropped_flush(Lab& lab)
{
    const auto result =
        lab.run({"--modes", "hv", "--append", "ipi_defer_fault=drop_flush",
                 "--workload", "static-keys"});
    expect_status(result, Exit::kDefect);
    expect_said(result, "owes work");
    expect(lab.report()["runs"][0]["agree"] == false, "it agrees",
           result.output);
}

/// The kernel sends again what was lost, so only the counts tell.
void dropped_ipi_with(Lab& lab, const std::string& append)
{
    const auto result = lab.run({"--modes", "hv", "--append",
                                 append + "ipi_defer_fault=drop_ipi",
                                 "--workload", "static-keys"});
    expect_status(result, Exit::kDefect);
    expect_said(result, "deferred, coalesced and delivered by the VMM (I1)");
}

void dropped_ipi(Lab& lab) { dropped_ipi_with(lab, ""); }

void falls_back(Lab& lab)
{
    const char* stock = std::getenv("IPIDEFER_QEMU_STOCK");
    if (stock == nullptr || *stock == '\0')
        throw Skip{"IPIDEFER_QEMU_STOCK names no QEMU without ipi-defer"};
    // No text is changed: under a stock QEMU a vCPU may run it from before.
    const auto result =
        lab.run({"--qemu", stock, "--modes", "hv", "--workload", "vmalloc"});
    expect_status(result, Exit::kDone);
    expect_said(result, "has no ipi-defer object");
    expect_said(result, "running as ipi_defer=off");
    const json run = lab.report()["runs"][0];
    expect(run["guest"]["mode"] == "off", "it did not fall back",
           result.output);
    expect(run["vmm"].is_null(), "a stock QEMU has verdicts", result.output);
    expect(
        events(run, "do_kernel_range_flush") + events(run, "do_flush_tlb_all") >
            0,
        "no events", result.output);
}

/// A script of the user's that is run as a workload.
std::string script(const Lab& lab, const std::string& text)
{
    const fs::path file = lab.scratch() / "workload.sh";
    std::ofstream{file} << text;
    return file.string();
}

void panic(Lab& lab)
{
    const auto result = lab.run({"--modes", "off", "--workload",
                                 script(lab, "echo c >/proc/sysrq-trigger\n")});
    expect_status(result, Exit::kDefect);
    expect_said(result, "panic");
    expect_said(result, "---- the last lines:");
    const json report = lab.report();
    expect(report["given_up"]["console"].get<std::string>().find(
               "sysrq triggered crash") != std::string::npos,
           "no console in the report", report.dump(2));
}

void hang(Lab& lab)
{
    const auto result =
        lab.run({"--modes", "off", "--timeout", "20", "--workload",
                 script(lab, "while :; do sleep 1; done\n")});
    expect_status(result, Exit::kDefect);
    expect_said(result, "no sign of life from the guest for 20 seconds");
    expect_said(result, "while running workload workload.sh");
}

/// A workload that takes longer than --timeout, but says something meanwhile.
void slow_workload(Lab& lab)
{
    const auto result = lab.run(
        {"--modes", "off", "--timeout", "15", "--workload",
         script(lab, "for i in 1 2 3 4 5; do echo $i; sleep 5; done\n")});
    expect_status(result, Exit::kDone);
    expect(lab.report()["runs"][0]["milliseconds"] > 20000, "not that long",
           result.output);
}

/// A typed IPI that is lost is a defect with ticks on the isolated vCPUs too,
/// where interrupts may be merged.
void ticks_dropped_ipi(Lab& lab) { dropped_ipi_with(lab, "nohz=off "); }

void ticks(Lab& lab)
{
    expect_status(lab.run({"--modes", "hv", "--append", "nohz=off"}),
                  Exit::kDone);
}

/// Isolated vCPUs that do not come up are said at once: a guest without them
/// would be silent until the timeout.
void missing_vcpus(Lab& lab)
{
    for (const char* append : {"maxcpus=2", "nolapic", "acpi=off"}) {
        const auto result = lab.run({"--modes", "hv", "--append", append});
        expect_status(result, Exit::kCannotRun);
        expect_said(result, "online, without the isolated 2-3; see --append");
    }
}

/// What a workload does to the loops is not the guest's kernel's fault.
void loops_kept_from_spinning(Lab& lab)
{
    // The loops are children of init that run on one isolated CPU each.
    const std::string loops =
        "loops() { for p in /proc/[0-9]*; do\n"
        "    grep -qE '^Cpus_allowed_list:.[23]$' $p/status &&\n"
        "    grep -q lab/agent $p/cmdline && echo ${p#/proc/}\n"
        "done; }\n";
    for (const auto& [text, said] :
         {std::pair{"kill -STOP $(loops)\n", "is stopped"},
          {"kill -STOP $(loops); sleep 1; kill -CONT $(loops)\n",
           "was stopped or moved"},
          {"for p in $(loops); do taskset -p 1 $p; done\n",
           "was moved to vCPU 0"},
          {"kill -9 $(loops)\n", "has ended"}}) {
        const auto result =
            lab.run({"--modes", "hv", "--workload", script(lab, loops + text)});
        expect_status(result, Exit::kCannotRun);
        expect_said(result, "kept the loops from spinning");
        expect_said(result, said);
    }
}

/// A process with this in its command line, or 0.
pid_t process_with(const std::string& text)
{
    for (const auto& entry : fs::directory_iterator{"/proc"}) {
        std::ifstream file{entry.path() / "cmdline", std::ios::binary};
        const std::string line{std::istreambuf_iterator<char>{file}, {}};
        if (line.find(text) != std::string::npos)
            return std::stoi(entry.path().filename());
    }
    return 0;
}

/// Stops the guest of that name for so long, once it has printed `when`.
void starve(const fs::path& console, const std::string& name,
            const std::string& when, std::chrono::seconds time)
{
    for (int i = 0; i < 2400; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
        std::ifstream file{console, std::ios::binary};
        const std::string text{std::istreambuf_iterator<char>{file}, {}};
        const pid_t qemu = process_with("guest=" + name + '\0');
        if (text.find(when) == std::string::npos || qemu == 0) continue;
        ::kill(qemu, SIGSTOP);
        std::this_thread::sleep_for(time);
        ::kill(qemu, SIGCONT);
        return;
    }
}

/// A host that does not run the guest for 10 s makes its kernel complain of
/// late ticks. That is no verdict, and a retry gets one.
void host_starves(Lab& lab)
{
    const std::string name = "starved-" + std::to_string(::getpid());
    const fs::path logs = lab.scratch() / "logs";
    // The marker goes to the console, when loops spin and ticks are due.
    const std::string work = script(
        lab,
        "echo '<0>lab: now' >/dev/kmsg; i=0\n"
        "while [ $i -lt 20 ]; do echo $i; sleep 1; i=$((i + 1)); done\n");
    for (const bool retry : {false, true}) {
        fs::remove_all(logs);
        std::thread starving{[&] {
            starve(logs / "off" / "console.log", name, "lab: now",
                   std::chrono::seconds{10});
        }};
        const auto result = lab.run({"--modes", "off", "--name", name,
                                     "--keep-logs", logs.string(), "--workload",
                                     work, "--retries", retry ? "1" : "0"});
        starving.join();
        expect_said(result, "the host starved ");
        expect_said(result, "no verdict");
        expect_status(result, retry ? Exit::kDone : Exit::kCannotRun);
        const json report = lab.report();
        expect(report["given_up"].is_null(), "a defect", report.dump(2));
        expect(report["starved"].size() == 1 &&
                   report["starved"][0]["retried"] == retry &&
                   report["starved"][0]["milliseconds"] > 2000,
               "it is not reported", report.dump(2));
        expect(report["runs"].size() == (retry ? 1u : 0u), "other runs",
               report.dump(2));
    }
}

/// The same kind of complaint from a guest that the host runs is its own doing,
/// whatever --retries says. The workload writes it, as nothing in the lab's
/// guest can hang a CPU of this kernel for the 20 s that a real one takes.
void stall(Lab& lab)
{
    const auto result = lab.run(
        {"--modes", "off", "--retries", "3", "--workload",
         script(lab,
                "echo '<0>watchdog: BUG: soft lockup - CPU#1 stuck for 26s!' "
                ">/dev/kmsg\nsleep 30\n")});
    expect_status(result, Exit::kDefect);
    expect_said(result, "a soft lockup");
    expect(lab.report()["starved"].empty(), "the host was blamed",
           result.output);
}

/// Change branches in noinstr code: those of user_enter and user_exit.
json change_noinstr_text(Lab& lab, Arguments more)
{
    Arguments arguments{
        "--workload",
        script(lab,
               "set -e\n"
               "cd /sys/kernel/tracing/events/context_tracking\n"
               "for i in 1 2 3 4 5; do\n"
               "    echo 1 >user_enter/enable; echo 0 >user_enter/enable\n"
               "done\n")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_status(lab.run(arguments), Exit::kDone);
    return lab.report();
}

/// Each change of a branch is three syncs, to each of two vCPUs.
constexpr std::uint64_t kNoinstrSyncs = 5 * 2 * 3 * 2;

/// I11: noinstr code runs before deferred work is done. Its changes must
/// interrupt, and be heard of before they are over.
void noinstr_poke_interrupts(Lab& lab)
{
    const json report = change_noinstr_text(lab, {"--modes", "guest,hv"});
    for (const auto& run : report["runs"]) {
        const std::string mode = run["mode"];
        expect(events(run, "do_sync_core") >= kNoinstrSyncs,
               mode + ": changes were deferred", report.dump(2));
        expect(run["guest"]["interrupts"].value("CAL", std::uint64_t{0}) > 0,
               mode + ": nobody was interrupted", report.dump(2));
    }
}

/// What that counts depends on the rule: without it, nothing interrupts.
void noinstr_poke_mutant(Lab& lab)
{
    const json report = change_noinstr_text(
        lab, {"--modes", "hv", "--append", "ipi_defer_fault=defer_noinstr"});
    expect(events(report["runs"][0], "do_sync_core") < kNoinstrSyncs,
           "the fault does not show", report.dump(2));
}

/// A vCPU that goes offline ends its registration, and makes it anew when it
/// comes back; requests come in all the while, and nothing is lost.
void hotplug(Lab& lab)
{
    const auto result = lab.run(
        {"--modes", "hv", "--workload",
         script(lab,
                "set -e\n"
                "cd /sys/devices/system/cpu/cpu1\n"
                "registered() {\n"
                "    dd if=/dev/cpu/1/msr bs=8 count=1 iflag=skip_bytes "
                "skip=$((0x49504900)) 2>/dev/null | od -An -tx8 |"
                " tr -d ' \\n'\n"
                "}\n"
                "toggle() {\n"
                "    for i in 1 2 3; do\n"
                "        echo 1 >/proc/sys/kernel/sched_schedstats\n"
                "        echo 0 >/proc/sys/kernel/sched_schedstats\n"
                "    done\n"
                "}\n"
                "before=$(registered)\n"
                "[ \"$before\" != 0000000000000000 ]\n"
                "for i in 1 2 3 4; do\n"
                "    toggle; echo 0 >online; toggle; echo 1 >online\n"
                "    [ \"$(registered)\" = \"$before\" ]\n"
                "done\n")});
    expect_status(result, Exit::kDone);
    const json run = lab.report()["runs"][0];
    // 4 rounds of 12 changes, 3 syncs each, to each of two isolated vCPUs.
    expect(events(run, "typed:sync_core") >= 4 * 12 * 3 * 2, "too few requests",
           run.dump(2));
    expect(run["agree"] == true, "disagreement", run.dump(2));
}

/// Runs a script with deferral on; its events must be function calls.
void must_interrupt(Lab& lab, const std::string& what, const std::string& text,
                    const std::string& callback)
{
    const auto result =
        lab.run({"--modes", "guest,hv", "--append", "ipi_defer_test",
                 "--workload", script(lab, "set -e\n" + text)});
    expect_status(result, Exit::kDone);
    const json report = lab.report();
    for (const auto& run : report["runs"])
        expect(events(run, callback) > 0,
               run["mode"].get<std::string>() + ": " + what + " was deferred",
               report.dump(2));
}

/// Small pages may come in place of the large one, in a TLB that has both.
void huge_mapping_interrupts(Lab& lab)
{
    must_interrupt(lab, "a huge mapping's end",
                   "echo huge >/sys/kernel/debug/x86/ipi_defer/test\n",
                   "do_flush_tlb_all");
}

/// A module's pages get their direct map's permissions back.
void direct_map_interrupts(Lab& lab)
{
    must_interrupt(lab, "a change of the direct map",
                   "insmod /lab/modules/crc7.ko; rmmod crc7\n",
                   "do_flush_tlb_all");
}

/// The direct map of secret memory is gone when the first access returns, and
/// with it a range of one page.
void secret_memory_interrupts(Lab& lab)
{
    must_interrupt(lab, "secret memory", "lab-secret-page\n",
                   "do_kernel_range_flush");
}

void refused_command_line(Lab& lab)
{
    const auto result = lab.run({"--modes", "off", "--isolated", "2-4"});
    expect_status(result, Exit::kCannotRun);
    expect_said(result, "no CPU 4, the last one is 3");
}

void workload_fails(Lab& lab)
{
    const auto result =
        lab.run({"--modes", "off", "--workload",
                 script(lab, "echo this went wrong; exit 3\n")});
    expect_status(result, Exit::kCannotRun);
    expect_said(result, "workload workload.sh ended with status 3");
    expect_said(result, "this went wrong");
}

/// A lab that runs while the test looks at its guest as an operator does.
class WatchedLab {
  public:
    /// Static keys are switched for `seconds`.
    WatchedLab(const Lab& lab, unsigned seconds)
        : tools{lab.program(), lab.scratch() / "segments", {2, 3}},
          segments_{lab.scratch() / "segments"}
    {
        fs::create_directory(segments_);
        const auto workload = script(
            lab, "end=$(($(date +%s) + " + std::to_string(seconds) +
                     "))\nwhile [ $(date +%s) -lt $end ]; do\n"
                     "sh \"$(dirname \"$0\")/static-keys.sh\" || exit\ndone\n");
        std::vector<std::string> words{lab.program().string(),
                                       "--shm-dir",
                                       segments_.string(),
                                       "lab",
                                       "run",
                                       "--modes",
                                       "hv",
                                       "--name",
                                       "web1",
                                       "--workload",
                                       workload,
                                       "--json",
                                       lab.report_file().string()};
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        child_ = ::fork();
        if (child_ == 0) {
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
    }
    ~WatchedLab()
    {
        if (child_ <= 0) return;
        ::kill(child_, SIGTERM);
        ::waitpid(child_, nullptr, 0);
    }
    WatchedLab(const WatchedLab&) = delete;
    WatchedLab& operator=(const WatchedLab&) = delete;

    /// Its exit status.
    int wait()
    {
        int status = 0;
        ::waitpid(child_, &status, 0);
        child_ = 0;
        expect(WIFEXITED(status), "the lab died of a signal", "");
        return WEXITSTATUS(status);
    }
    [[nodiscard]] bool has_segment() const { return !fs::is_empty(segments_); }

    /// Boots; until IPIs are deferred.
    void wait_until_it_defers() const
    {
        tools.wait_until("the VM appears",
                         [&] { return !tools.json({"list"})["vms"].empty(); });
        tools.wait_until("it defers", [&] { return tools.suppressed() > 20; });
    }

    const ipidefer::test::ToolsOnAVm tools;

  private:
    fs::path segments_;
    pid_t child_ = 0;
};

/// Looking on changes nothing: guest and VMM agree, by QMP and by the segment.
void segment_watched(Lab& lab)
{
    WatchedLab watched{lab, 12};
    watched.wait_until_it_defers();
    const json vm = watched.tools.json({"list"})["vms"][0];
    const std::string shown = vm.dump(1);
    expect(vm["name"] == "web1" && vm["state"] == "running", "another VM",
           shown);
    expect(vm["policy"]["isolated"] == "2-3", "other isolated vCPUs", shown);
    for (const unsigned vcpu : {2u, 3u})
        expect(vm["vcpus"][vcpu]["bound"] == true &&
                   vm["vcpus"][vcpu]["context"] == "user",
               "an isolated vCPU is not in its loop", shown);
    const auto top = watched.tools.run({"top", "-1", "-d", "500ms"});
    expect_status(top, Exit::kDone);
    expect_said(top, "web1");

    const auto trace = watched.tools.run(
        {"trace", "web1", "-e", "ipi_verdict", "-f",
         "verdict == coalesced && cpu & CPUS{2-3}", "--count", "20", "--json"});
    expect_status(trace, Exit::kDone);
    unsigned events = 0;
    std::istringstream lines{trace.output};
    for (std::string line; std::getline(lines, line); ++events) {
        const json event = json::parse(line);
        expect(event["verdict"] == "coalesced" && event["context"] == "user" &&
                   (event["sender"] == 0 || event["sender"] == 1),
               "another event", line);
    }
    expect(events == 20, "not 20 events", trace.output);
    const auto sends = watched.tools.run(
        {"trace", "web1", "-e", "ipi_send", "-f",
         "cpumask & CPUS{2-3} && vector == 0xf5", "--count", "5"});
    expect_status(sends, Exit::kDone);

    const int status = watched.wait();
    const json run = lab.report()["runs"][0];
    expect(status == 0, "exit status " + std::to_string(status), run.dump(1));
    expect(run["vmm"]["verdicts"]["0xf5"]["coalesced"] >= 20,
           "too few verdicts", run.dump(1));
    expect(!watched.has_segment(), "a segment was left behind", "");
}

/// The kill switch works at once, and back, and is what the lab then sees.
void segment_kill_switch(Lab& lab)
{
    WatchedLab watched{lab, 12};
    watched.wait_until_it_defers();
    (void)watched.tools.json({"policy", "web1", "--off"});
    const auto before = watched.tools.suppressed();
    const auto delivered = watched.tools.count("delivered-policy");
    watched.tools.wait_until("everything is delivered", [&] {
        return watched.tools.count("delivered-policy") > delivered + 20;
    });
    expect(watched.tools.suppressed() == before, "deferred though switched off",
           "");
    (void)watched.tools.json({"policy", "web1", "--on"});
    watched.tools.wait_until("it defers again", [&] {
        return watched.tools.suppressed() > before + 20;
    });

    const int status = watched.wait();
    const json run = lab.report()["runs"][0];
    expect(status == static_cast<int>(Exit::kDefect),
           "exit status " + std::to_string(status), run.dump(1));
    unsigned by_policy = 0;
    for (const auto& said : run["disagreements"]) {
        const auto text = said.get<std::string>();
        // The loops were interrupted, as the policy wanted. Two IPIs of one
        // vector that come before the first is taken are one interrupt. All
        // are accounted for nevertheless (I1, I5), by QMP and in the segment.
        unsigned taken = 0;
        unsigned sent = 0;
        const char* numbers = text.c_str() + text.find(": ") + 2;
        if (text.find("delivered-policy") != std::string::npos)
            ++by_policy;
        else if (std::sscanf(numbers, "%u taken, but %u delivered by the VMM",
                             &taken, &sent) == 2)
            expect(taken < sent, "more interrupts than IPIs", run.dump(1));
        else
            expect(text.find("interrupted in userspace") != std::string::npos,
                   "another disagreement", run.dump(1));
    }
    expect(by_policy == 2, "not both isolated vCPUs", run.dump(1));
}

/// SIGTERM in the middle: no QEMU, no folder and no segment stays behind.
void interrupted(Lab& lab)
{
    const fs::path temporary = lab.scratch() / "tmp";
    const fs::path segments = lab.scratch() / "segments";
    fs::create_directory(temporary);
    fs::create_directory(segments);
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("TMPDIR", temporary.c_str(), 1);
        ::execl(lab.program().c_str(), "ipidefer", "--shm-dir",
                segments.c_str(), "lab", "run", nullptr);
        ::_exit(127);
    }
    // Long enough for a guest to run, short enough for it not to be done.
    std::this_thread::sleep_for(std::chrono::seconds{6});
    expect(!fs::is_empty(temporary), "nothing has begun", "");
    expect(!fs::is_empty(segments), "no segment", "");
    ::kill(child, SIGTERM);
    int status = 0;
    ::waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM,
           "wait status " + std::to_string(status), "");
    expect(fs::is_empty(temporary), "it left files behind", "");
    expect(fs::is_empty(segments), "it left a segment behind", "");
    // QEMU's command line has the sockets below that folder.
    const pid_t left = process_with(temporary.string());
    expect(left == 0, "it left process " + std::to_string(left) + " behind",
           "");
}

const std::map<std::string, std::function<void(Lab&)>> kCases{
    {"table", table},
    {"static-keys-undisturbed", static_keys_undisturbed},
    {"nested-guest", nested_guest},
    {"nested-guest-dropped-flush", nested_dropped_flush},
    {"dropped-flush", dropped_flush},
    {"dropped-ipi", dropped_ipi},
    {"falls-back-on-a-qemu-without-the-object", falls_back},
    {"noinstr-poke-interrupts", noinstr_poke_interrupts},
    {"noinstr-poke-mutant", noinstr_poke_mutant},
    {"kernel-memory", kernel_memory},
    {"huge-mapping-interrupts", huge_mapping_interrupts},
    {"direct-map-interrupts", direct_map_interrupts},
    {"secret-memory-interrupts", secret_memory_interrupts},
    {"hotplug", hotplug},
    {"segment-watched", segment_watched},
    {"segment-kill-switch", segment_kill_switch},
    {"panic", panic},
    {"hang", hang},
    {"slow-workload", slow_workload},
    {"ticks", ticks},
    {"ticks-dropped-ipi", ticks_dropped_ipi},
    {"missing-vcpus", missing_vcpus},
    {"loops-kept-from-spinning", loops_kept_from_spinning},
    {"host-starves", host_starves},
    {"stall", stall},
    {"refused-command-line", refused_command_line},
    {"interrupted", interrupted},
    {"workload-fails", workload_fails},
};

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 3 || !kCases.contains(argv[2])) {
        std::cerr << "usage: lab_nested_test IPIDEFER CASE\n";
        return 1;
    }
    try {
        for (const char* needed : {"IPIDEFER_QEMU", "IPIDEFER_KERNEL"})
            if (const char* value = std::getenv(needed);
                value == nullptr || *value == '\0')
                throw Skip{std::string{needed} + " is not set"};
        Lab lab{argv[1]};
        kCases.at(argv[2])(lab);
    } catch (const Skip& skip) {
        std::cout << "skipped: " << skip.what() << '\n';
        return kSkipped;
    } catch (const std::exception& error) {
        std::cerr << "FAILED: " << error.what() << '\n';
        return 1;
    }
}
