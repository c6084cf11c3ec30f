// SPDX-License-Identifier: GPL-2.0-or-later
// Freestanding guests under ipidefer-vmm, on real KVM. One case per call:
// ipidefer-kvm-test VMM STATIC CLI GUEST ENTRIES CASE. What the guest
// checks itself is in vmm/kvm/guest; here its counts meet the VMM's. Counts,
// never times.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "base/program.hpp"
#include "base/scratch.hpp"
#include "base/text.hpp"
#include "tests/support/tools_on_a_vm.hpp"

namespace {

namespace fs = std::filesystem;
using ipidefer::ProgramResult;
using ipidefer::run_program;
using nlohmann::json;
using Arguments = std::vector<std::string>;

constexpr int kDone = 0;
constexpr int kCannotRun = 1;
constexpr int kGuestFailed = 2;
constexpr int kSkipped = 77;
// Millions of TSC ticks: far longer than anything takes on a busy machine, and
// as long as a mutant needs to be seen.
constexpr char kPatient[] = "patience=200000";
constexpr char kImpatient[] = "patience=20000";
/// Loops between two entries, so that most IPIs find the CPU in ring 3.
constexpr char kMostlyInRing3[] = " stay=2000000";

void expect(bool good, const std::string& what, const std::string& output)
{
    if (!good) throw std::runtime_error{what + "\n---- output:\n" + output};
}

struct Programs {
    fs::path vmm, static_build, cli, guest, entries, mutants;

    /// The VMM with one bug, see vmm/kvm/mutants.toml.
    [[nodiscard]] fs::path with_bug(const std::string& bug) const
    {
        return mutants / ("ipidefer-vmm-" + bug);
    }
};

/// One run: exit status, what was printed, the report.
struct Run {
    ProgramResult result;
    json report;

    [[nodiscard]] std::string text() const
    {
        return result.output + report.dump(1);
    }
    void expect_status(int status) const
    {
        expect(result.status == status,
               "exit status " + std::to_string(result.status) + ", not " +
                   std::to_string(status),
               text());
    }
    void expect_said(const std::string& what) const
    {
        expect(result.output.find(what) != std::string::npos,
               "'" + what + "' was not said", text());
    }
    /// What the guest printed as "name=value".
    [[nodiscard]] std::uint64_t value(const std::string& name) const
    {
        for (const auto word : ipidefer::words_of(result.output))
            if (word.starts_with(name + "="))
                return ipidefer::number_of<std::uint64_t>(
                           word.substr(name.size() + 1))
                    .value();
        throw std::runtime_error{"the guest did not print " + name + "\n" +
                                 text()};
    }
    /// Verdicts for the two typed vectors of a vCPU whose name starts so.
    [[nodiscard]] std::uint64_t verdicts(unsigned vcpu,
                                         const std::string& prefix = "") const
    {
        std::uint64_t sum = 0;
        for (const auto& [vector, by] :
             report.at("vcpus").at(vcpu).at("verdicts").items())
            if (vector == "0xf5" || vector == "0xf6")
                for (const auto& [verdict, count] : by.items())
                    if (verdict.starts_with(prefix))
                        sum += count.get<std::uint64_t>();
        return sum;
    }
    [[nodiscard]] std::uint64_t recorded(unsigned vcpu) const
    {
        return verdicts(vcpu, "deferred") + verdicts(vcpu, "coalesced");
    }
};

Run run(const fs::path& vmm, Arguments arguments)
{
    const ipidefer::Scratch scratch;
    const fs::path file = scratch.path() / "report.json";
    arguments.insert(arguments.end(), {"--json", file.string()});
    Run run;
    run.result = run_program(vmm, arguments);
    std::cout << run.result.output << std::flush;
    if (fs::exists(file)) run.report = json::parse(ipidefer::read_whole(file));
    return run;
}

/// A scenario of the test guest on four vCPUs, of which 1-3 are isolated.
Run run_scenario(const fs::path& vmm, const Programs& programs,
                 const std::string& append, Arguments more = {})
{
    Arguments arguments{"--guest",    programs.guest, "--cpus",    "4",
                        "--isolated", "1-3",          "--timeout", "150",
                        "--append",   append};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(vmm, arguments);
}

// ---- Scenarios, in both APIC modes

/// I1, counted on both sides: each IPI has one verdict, and no interrupt came
/// that the VMM says it has recorded.
void expect_accounted(const Run& run)
{
    expect(run.verdicts(1) == run.value("sent"),
           "verdicts: " + std::to_string(run.verdicts(1)) + " for " +
               std::to_string(run.value("sent")) + " IPIs",
           run.text());
    expect(run.value("taken") <= run.verdicts(1, "delivered"),
           "more interrupts than were delivered: recorded and delivered",
           run.text());
}

void scenario(const Programs& programs, const std::string& name,
              const std::string& mode)
{
    const Run done =
        run_scenario(programs.vmm, programs,
                     "scenario=" + name + " apic=" + mode + " " + kPatient +
                         (name == "once" ? kMostlyInRing3 : ""));
    done.expect_status(kDone);
    done.expect_said("== end");
    // What the guest does when it has shown that it is still sane.
    constexpr std::uint64_t kSaneIpis = 20;
    if (name == "storm") {
        expect_accounted(done);
        expect(done.recorded(1) != 0, "nothing was recorded", done.text());
    } else if (name == "once") {
        expect(done.recorded(1) != 0, "nothing was recorded", done.text());
        expect(done.recorded(1) + done.value("taken") == done.value("sent"),
               "an IPI was neither recorded nor taken, or both", done.text());
        expect(done.value("taken") == done.verdicts(1, "delivered"),
               "interrupts taken and delivered differ", done.text());
    } else if (name == "rewrite-storm") {
        expect(done.verdicts(1) == done.value("sent") + kSaneIpis,
               "verdicts and IPIs differ", done.text());
    } else if (name == "registration-storm") {
        std::uint64_t sum = 0;
        for (unsigned vcpu = 1; vcpu < 4; ++vcpu) sum += done.verdicts(vcpu);
        // While nobody has bound a vector it is none of the VMM's business.
        expect(sum <= done.value("sent") + kSaneIpis, "more verdicts than IPIs",
               done.text());
        expect(done.value("accepted") <= done.value("attempts"),
               "more registrations than attempts", done.text());
        expect(done.report["registrations"]["refused"] ==
                   done.value("attempts") - done.value("accepted"),
               "refusals: guest and VMM differ", done.text());
    } else if (name == "nmi") {
        expect(done.report["vcpus"][1]["nmis"] == done.value("nmis"),
               "NMIs: guest and VMM differ", done.text());
    } else if (name == "bad-registrations") {
        expect(done.report["registrations"]["accepted"] == 1,
               "bad registrations were accepted", done.text());
    }
}

// ---- Policy

void policy(const Programs& programs)
{
    const auto with = [&](Arguments more, const std::string& verdict) {
        const Run done = run_scenario(
            programs.vmm, programs,
            std::string{"scenario=storm rounds=60 "} + kPatient, more);
        done.expect_status(kDone);
        expect_accounted(done);
        expect(done.recorded(1) == 0, verdict + ": something was recorded",
               done.text());
        expect(done.verdicts(1, verdict) != 0, verdict + ": no such verdict",
               done.text());
    };
    with({"--defer", "off"}, "delivered-policy");
    with({"--user", "off"}, "delivered-policy");
    with({"--vectors", "32-200"}, "delivered-policy");
    // The last one counts.
    const Run done =
        run_scenario(programs.vmm, programs,
                     std::string{"scenario=storm rounds=60 "} + kPatient);
    done.expect_status(kDone);
    expect(done.recorded(1) != 0, "the default records nothing", done.text());
}

void static_build(const Programs& programs)
{
    const Run done =
        run_scenario(programs.static_build, programs,
                     std::string{"scenario=storm rounds=60 "} + kPatient);
    done.expect_status(kDone);
    expect_accounted(done);
}

// ---- Images

void entry(const Programs& programs)
{
    for (const char* image : {"kvm-entry-multiboot.elf", "kvm-entry-pvh.elf"}) {
        const Run done = run(programs.vmm, {"--guest", programs.entries / image,
                                            "--timeout", "60"});
        done.expect_status(kDone);
    }
}

/// A flat image of `code`, which is 32-bit.
Run run_code(const Programs& programs, const std::string& code,
             Arguments more = {})
{
    const ipidefer::Scratch scratch;
    const fs::path image = scratch.path() / "flat.bin";
    std::ofstream{image, std::ios::binary} << code;
    Arguments arguments{"--guest", image, "--timeout", "60"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(programs.vmm, arguments);
}

void flat(const Programs& programs)
{
    // mov $STATUS, %al; out %al, $0xf4
    const Run good = run_code(programs, std::string{"\xb0\x00\xe6\xf4", 4},
                              {"--load", "0x200000"});
    good.expect_status(kDone);
    const Run bad = run_code(programs, "\xb0\x07\xe6\xf4");
    bad.expect_status(kGuestFailed);
    bad.expect_said("status 7");
}

void guest_crashes(const Programs& programs)
{
    // lidt of nothing, then ud2: no handler for anything.
    const Run crashed = run_code(
        programs, std::string{"\x0f\x01\x1d\x00\x00\x20\x00\x0f\x0b", 9});
    crashed.expect_status(kGuestFailed);
    crashed.expect_said("guest-failed: vCPU 0");
    expect(crashed.report["outcome"]["kind"] == "guest-failed",
           "another outcome", crashed.text());
}

// ---- The end

void guest_never_ends(const Programs& programs)
{
    // A halt that nothing ends, ring 0 that never exits, and ring 3.
    for (const char* code : {"\xfa\xf4", "\xeb\xfe"}) {
        const Run halted = run_code(programs, code, {"--timeout", "1"});
        halted.expect_status(kGuestFailed);
        halted.expect_said("timeout: not done after 1 s");
    }
    const Run spinning = run_scenario(programs.vmm, programs, "scenario=spin",
                                      {"--timeout", "2"});
    spinning.expect_status(kGuestFailed);
    spinning.expect_said("timeout: not done after 2 s");
}

/// Starts the VMM without waiting for it; `out` is its standard output.
pid_t start(const fs::path& vmm, const Arguments& arguments, int out)
{
    std::vector<std::string> words{vmm.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(out, STDOUT_FILENO);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    return pid;
}

/// Its exit status; an error if that takes longer than anybody would wait.
int wait_for(pid_t pid)
{
    for (int i = 0; i < 1000; ++i) {
        int status = 0;
        if (::waitpid(pid, &status, WNOHANG) == pid) {
            if (!WIFEXITED(status))
                throw std::runtime_error{"the VMM died of a signal"};
            return WEXITSTATUS(status);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    throw std::runtime_error{"the VMM did not end within 100 s"};
}

class Pipe {
  public:
    Pipe()
    {
        if (::pipe2(ends_, O_CLOEXEC) != 0) throw std::runtime_error{"no pipe"};
    }
    ~Pipe()
    {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    [[nodiscard]] int reader() const { return ends_[0]; }
    [[nodiscard]] int writer() const { return ends_[1]; }

  private:
    int ends_[2] = {};
};

/// Signalled when the guest has said something, so while it runs.
void expect_stops(const Programs& programs, const std::string& append,
                  int signal)
{
    const Pipe pipe;
    const pid_t pid =
        start(programs.vmm,
              {"--guest", programs.guest, "--cpus", "4", "--isolated", "1-3",
               "--timeout", "90", "--append", append},
              pipe.writer());
    char byte;
    const auto got = ::read(pipe.reader(), &byte, 1);
    ::kill(pid, signal);
    const int status = wait_for(pid);
    expect(got == 1, "the guest said nothing", "");
    expect(status == kCannotRun, "exit status " + std::to_string(status), "");
}

void stopped_by_signal(const Programs& programs)
{
    expect_stops(programs, "scenario=spin", SIGTERM);
    expect_stops(programs, "scenario=spin", SIGINT);
}

void stopped_while_all_send(const Programs& programs)
{
    for (int i = 0; i < 5; ++i)
        expect_stops(
            programs,
            std::string{"scenario=storm loud=1 rounds=100000000 "} + kPatient,
            SIGTERM);
}

void reader_that_stops_reading(const Programs& programs)
{
    const ipidefer::Scratch scratch;
    const fs::path image = scratch.path() / "flat.bin";
    std::ofstream{image, std::ios::binary} << "\xb0!\xe6\xe9\xeb\xfc";
    const Pipe pipe;
    const int status = wait_for(
        start(programs.vmm, {"--guest", image, "--timeout", "2", "--quiet"},
              pipe.writer()));
    expect(status == kGuestFailed, "exit status " + std::to_string(status), "");
}

// ---- The segment

/// A VMM that runs "web1" with a segment, while the test does something else.
class WatchedVmm {
    ipidefer::Scratch scratch_;  // first: what follows lies in it

  public:
    const ipidefer::test::ToolsOnAVm tools;

    WatchedVmm(const Programs& programs, const fs::path& vmm,
               const std::string& append, const Arguments& more = {})
        : tools{programs.cli, folder(), {1}}
    {
        Arguments arguments{"--guest",       programs.guest,
                            "--cpus",        "4",
                            "--isolated",    "1-3",
                            "--timeout",     "150",
                            "--append",      append + " " + kPatient,
                            "--segment",     "on",
                            "--name",        "web1",
                            "--json",        report_file().string(),
                            "--segment-dir", folder().string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        fs::create_directory(folder());
        pid_ = start(vmm, arguments, pipe_.writer());
    }
    ~WatchedVmm()
    {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    WatchedVmm(const WatchedVmm&) = delete;
    WatchedVmm& operator=(const WatchedVmm&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] fs::path folder() const
    {
        return scratch_.path() / "segments";
    }
    /// Of its segment; empty when there is none.
    [[nodiscard]] fs::path file() const
    {
        for (const auto& entry : fs::directory_iterator{folder()})
            if (entry.path().filename().string().starts_with("ipidefer.web1~"))
                return entry.path();
        return {};
    }
    [[nodiscard]] fs::path report_file() const
    {
        return scratch_.path() / "report.json";
    }

    /// Waits for the end. @return as run() does
    Run end(std::optional<int> signal = std::nullopt)
    {
        if (signal) ::kill(pid_, *signal);
        Run run;
        run.result.status = wait_for(std::exchange(pid_, 0));
        run.result.output = said();
        std::cout << run.result.output << std::flush;
        if (fs::exists(report_file()))
            run.report = json::parse(ipidefer::read_whole(report_file()));
        return run;
    }
    /// Waits for its death of a signal. @return which
    int killed_by()
    {
        for (int i = 0; i < 300; ++i) {
            int status = 0;
            if (::waitpid(pid_, &status, WNOHANG) == pid_) {
                pid_ = 0;
                return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
        return 0;
    }

  private:
    [[nodiscard]] std::string said() const
    {
        // Nobody writes any more, and a pipe holds what such a guest says.
        std::string text(1u << 16, '\0');
        ::fcntl(pipe_.reader(), F_SETFL, O_NONBLOCK);
        const auto got = ::read(pipe_.reader(), text.data(), text.size());
        text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        return text;
    }

    Pipe pipe_;
    pid_t pid_ = 0;
};

// Long enough in ring 3 for IPIs to be recorded also where ring 0 is emulated.
constexpr char kEndless[] = "scenario=storm rounds=100000000 stay=2000000";

void segment_steers(const Programs& programs)
{
    WatchedVmm vmm{programs, programs.vmm, kEndless};
    vmm.tools.wait_until("the VM appears",
                         [&] { return fs::exists(vmm.file()); });
    vmm.tools.wait_until("it defers",
                         [&] { return vmm.tools.suppressed() > 20; });
    const json vm = vmm.tools.json({"list"})["vms"][0];
    expect(vm["name"] == "web1" && vm["state"] == "running" &&
               vm["pid"] == vmm.pid() && vm["policy"]["isolated"] == "1-3" &&
               vm["producer"].get<std::string>().starts_with("ipidefer-vmm "),
           "another VM", vm.dump(1));

    // Each of these works on the next IPI: nothing is suppressed from then on.
    const auto stops = [&](const Arguments& off, const Arguments& on,
                           const std::string& verdict) {
        Arguments change{"policy", "web1"};
        change.insert(change.end(), off.begin(), off.end());
        (void)vmm.tools.json(change);
        const auto before = vmm.tools.suppressed();
        const auto delivered = vmm.tools.count(verdict);
        vmm.tools.wait_until(
            verdict, [&] { return vmm.tools.count(verdict) > delivered + 20; });
        expect(vmm.tools.suppressed() == before,
               verdict + ", and still deferred", "");
        change.resize(2);
        change.insert(change.end(), on.begin(), on.end());
        (void)vmm.tools.json(change);
        vmm.tools.wait_until("it defers again", [&] {
            return vmm.tools.suppressed() > before + 20;
        });
    };
    stops({"--off"}, {"--on"}, "delivered-policy");
    stops({"--isolated", "2-3"}, {"--isolated", "1"}, "delivered-not-isolated");

    const Run done = vmm.end(SIGTERM);
    done.expect_status(kCannotRun);
    expect(!fs::exists(vmm.file()), "the segment was left behind", "");
    expect(done.report["vcpus"][3]["isolated"] == false &&
               done.report["vcpus"][1]["isolated"] == true,
           "the report shows another policy", done.text());
}

/// All events of a run, from its first ICR write on, are those of the counters.
void segment_trace(const Programs& programs)
{
    WatchedVmm vmm{programs,
                   programs.vmm,
                   "scenario=storm rounds=150",
                   {"--trace", "on", "--trace-entries", "1048576"}};
    vmm.tools.wait_until("the VM appears",
                         [&] { return fs::exists(vmm.file()); });
    // Ends with the VM.
    const auto trace =
        vmm.tools.run({"trace", "web1", "--backlog", "--read-only", "--json"});
    const Run done = vmm.end();
    done.expect_status(kDone);
    expect(trace.status == kDone, "ipidefer trace failed", trace.output);

    std::map<std::string, std::uint64_t> verdicts;
    std::uint64_t sends = 0;
    bool from_the_start = false;
    std::istringstream lines{trace.output};
    for (std::string line; std::getline(lines, line);) {
        const json event = json::parse(line);
        expect(event["event"] != "lost", "lost events", line);
        if (event["event"] == "ipi_send") {
            if (event["delivery"] == "init" && event["cpumask"] == "1")
                from_the_start = true;
            if (event["delivery"] == "fixed" && event["cpumask"] == "1" &&
                (event["vector"] == 0xf5 || event["vector"] == 0xf6))
                ++sends;
            continue;
        }
        std::string verdict = event["verdict"];
        if (const std::string reason = event["reason"]; !reason.empty()) {
            verdict += '-';
            verdict += reason;
        }
        expect(event["cpu"] == 1 && event["sender"] != 1, "another event",
               line);
        ++verdicts[verdict];
    }
    expect(from_the_start, "the start is missing", trace.output);
    expect(sends == done.value("sent"), "sends: trace and guest differ",
           done.text());
    std::uint64_t sum = 0;
    for (const auto& [verdict, count] : verdicts) {
        sum += count;
        // A whole name: no other starts with it.
        expect(count == done.verdicts(1, verdict),
               verdict + ": trace and counters differ", done.text());
    }
    expect(sum == done.value("sent"), "verdicts: trace and guest differ",
           done.text());
}

void segment_age(const Programs& programs)
{
    // Spells in ring 3 that are far longer than the limit.
    const std::string append = "scenario=storm rounds=200 stay=30000000";
    const auto aged = [](const Run& done) {
        std::uint64_t sum = 0;
        for (const auto& [vector, count] :
             done.report["vcpus"][1]["max_age"].items())
            sum += count.get<std::uint64_t>();
        return sum;
    };
    WatchedVmm vmm{programs, programs.vmm, append, {"--max-age", "1ms"}};
    const Run done = vmm.end();
    done.expect_status(kDone);
    expect(aged(done) > 0, "nothing was delivered for its age", done.text());
    // I1: in addition, and counted apart.
    expect(done.verdicts(1) == done.value("sent"), "verdicts and IPIs differ",
           done.text());
    expect(done.value("taken") <= done.verdicts(1, "delivered") + aged(done),
           "more interrupts than were delivered", done.text());
    // The control.
    WatchedVmm patient{programs, programs.vmm, append};
    const Run without = patient.end();
    without.expect_status(kDone);
    expect(aged(without) == 0, "delivered for an age that nobody set",
           without.text());
    expect_accounted(without);
}

void segment_lifetime(const Programs& programs)
{
    WatchedVmm vmm{programs, programs.vmm, kEndless};
    vmm.tools.wait_until("it defers", [&] {
        return !vmm.file().empty() && vmm.tools.suppressed() > 0;
    });
    const Arguments another{"--segment", "on", "--segment-dir",
                            vmm.folder().string()};
    // Another of the name is in nobody's way. Does not boot: two such guests
    // take their time.
    auto again = another;
    again.insert(again.end(), {"--name", "web1"});
    const fs::path first = vmm.file();
    const Run flat =
        run_code(programs, std::string{"\xb0\x00\xe6\xf4", 4}, again);
    flat.expect_status(kDone);
    expect(vmm.file() == first, "the segment was left behind, or taken", "");

    // Killed: the file stays, is known to be stale, and goes with the next.
    ::kill(vmm.pid(), SIGKILL);
    expect(vmm.killed_by() == SIGKILL, "it was not killed", "");
    expect(vmm.tools.json({"list"})["vms"][0]["state"] == "stale", "not stale",
           "");
    run_scenario(programs.vmm, programs,
                 std::string{"scenario=storm rounds=5 "} + kPatient, again)
        .expect_status(kDone);
    expect(vmm.file().empty(), "the segment was left behind", "");
}

/// I7: it lives, and everything is delivered.
void segment_truncated(const Programs& programs)
{
    WatchedVmm vmm{programs, programs.vmm, kEndless};
    vmm.tools.wait_until("it defers", [&] {
        return !vmm.file().empty() && vmm.tools.suppressed() > 0;
    });
    fs::resize_file(vmm.file(), 0);
    // IPIs go on, and ticks.
    std::this_thread::sleep_for(std::chrono::seconds{1});
    const Run done = vmm.end(SIGTERM);
    done.expect_status(kCannotRun);
    expect(done.verdicts(1, "delivered-policy") != 0, "nothing is delivered",
           done.text());
    expect(done.recorded(1) == 0, "something is recorded", done.text());
    // The control.
    WatchedVmm unguarded{programs, programs.with_bug("no-guard"), kEndless};
    unguarded.tools.wait_until("it defers", [&] {
        return !unguarded.file().empty() && unguarded.tools.suppressed() > 0;
    });
    fs::resize_file(unguarded.file(), 0);
    const int signal = unguarded.killed_by();
    expect(signal == SIGBUS, "signal " + std::to_string(signal), "");
}

// ---- Deliberate bugs, which must be seen

/// A bug of the VMM, seen by the guest.
void vmm_mutant(const Programs& programs, const std::string& bug,
                const std::string& scenario, const std::string& said,
                const char* patience)
{
    // Without it all is well: what is seen is the bug.
    const std::string append = "scenario=" + scenario + " rounds=60 ";
    run_scenario(programs.vmm, programs, append + kPatient)
        .expect_status(kDone);
    const Run seen =
        run_scenario(programs.with_bug(bug), programs, append + patience);
    seen.expect_status(kGuestFailed);
    seen.expect_said(said);
}

/// A bug of the guest, seen by its own check.
void guest_mutant(const Programs& programs, const std::string& mutation,
                  const std::string& scenario, const std::string& said)
{
    const Run seen = run_scenario(
        programs.vmm, programs,
        "scenario=" + scenario + " " + mutation + "=1 " + kPatient);
    seen.expect_status(kGuestFailed);
    seen.expect_said(said);
}

/// Figures are for people; what must hold are the exits.
void bench(const Programs& programs)
{
    const ipidefer::Scratch scratch;
    const fs::path file = scratch.path() / "bench.json";
    const auto result =
        run_program(programs.cli, {"bench", "kvm", "--rounds", "3", "--window",
                                   "100", "--json", file.string()});
    std::cout << result.output << std::flush;
    expect(result.status == kDone, "bench kvm failed", result.output);
    const json report = json::parse(ipidefer::read_whole(file));
    const std::string text = report.dump(1);
    expect(report["schema"] == "ipidefer-bench-kvm/1", "another schema", text);
    expect(report["rounds"].size() == 3, "not three rounds", text);
    for (const auto& round : report["rounds"]) {
        expect(round["deferred"]["returns"] == 0,
               "a deferred IPI disturbed the isolated vCPU", text);
        expect(round["quiet"]["returns"] == 0, "disturbed by nobody", text);
        expect(round["delivered"]["returns"] > 0,
               "delivered IPIs disturb nobody: nothing is measured", text);
        expect(round["deferred"]["sent"] > 0 && round["delivered"]["sent"] > 0,
               "nothing was sent", text);
        expect(round["deferred"]["loops"] > 0, "the loop stands still", text);
    }
}

using Case = std::function<void(const Programs&)>;

std::map<std::string, Case> all_cases()
{
    std::map<std::string, Case> cases{
        {"policy", policy},
        {"static-build", static_build},
        {"entry", entry},
        {"flat", flat},
        {"guest-crashes", guest_crashes},
        {"guest-never-ends", guest_never_ends},
        {"stopped-by-signal", stopped_by_signal},
        {"stopped-while-all-send", stopped_while_all_send},
        {"reader-that-stops-reading", reader_that_stops_reading},
        {"segment-steers", segment_steers},
        {"segment-trace", segment_trace},
        {"segment-age", segment_age},
        {"segment-lifetime", segment_lifetime},
        {"segment-truncated", segment_truncated},
        {"bench", bench},
    };
    for (const char* name :
         {"apic", "icr-storm", "bad-registrations", "registration-storm",
          "rewrite-storm", "storm", "once", "nmi", "init"})
        for (const auto& [mode, option] :
             {std::pair{"x2apic", "x2"}, std::pair{"xapic", "x"}})
            cases[std::string{name} + "-" + mode] =
                [name, option = option](const Programs& programs) {
                    scenario(programs, name, option);
                };
    const auto vmm = [&](const std::string& bug, const std::string& scenario,
                         const std::string& said, const char* patience) {
        cases["mutant-" + bug] = [=](const Programs& programs) {
            vmm_mutant(programs, bug, scenario, said, patience);
        };
    };
    vmm("drop", "storm", "lost work", kImpatient);
    vmm("both", std::string{"once"} + kMostlyInRing3, "recorded and delivered",
        kPatient);
    vmm("defer-nmi", "nmi", "an NMI was lost", kImpatient);
    vmm("keep-registration", "init", "a registration outlives INIT", kPatient);
    vmm("any-word", "bad-registrations", "was accepted", kPatient);
    const auto guest = [&](const std::string& mutation,
                           const std::string& scenario) {
        cases["mutant-" + mutation] = [=](const Programs& programs) {
            guest_mutant(programs, mutation, scenario,
                         "kernel code ran on an isolated CPU before the work");
        };
    };
    guest("omit-flush", "storm");
    guest("omit-nmi-flush", "nmi");
    return cases;
}

}  // namespace

int main(int argc, char** argv)
{
    const auto cases = all_cases();
    if (argc != 8 || !cases.contains(argv[7])) {
        std::cerr << "usage: ipidefer-kvm-test VMM STATIC CLI GUEST "
                     "ENTRIES CASE\n";
        return 1;
    }
    const Programs programs{argv[1], argv[2], argv[3],
                            argv[4], argv[5], argv[6]};
    try {
        const auto probe = run_program(programs.vmm, {"--probe"});
        std::cout << probe.output << std::flush;
        if (probe.status == kSkipped) {
            std::cout << "SKIPPED: no KVM that this VMM could use\n";
            return kSkipped;
        }
        expect(probe.status == kDone, "--probe failed", probe.output);
        cases.at(argv[7])(programs);
    } catch (const std::exception& error) {
        std::cerr << "FAILED: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
