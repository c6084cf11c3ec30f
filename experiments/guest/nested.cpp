// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/nested.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "experiments/guest/files.hpp"
#include "experiments/guest/workload.hpp"
#include "experiments/lab/protocol.hpp"

namespace ipidefer::lab::agent {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kVmmPatience{30};
constexpr char kStatistics[] = "/sys/kernel/debug/kvm";
constexpr char kReady[] = "spinning";

void load_module(const std::string& name)
{
    const fs::path file = fs::path{protocol::kModules} / (name + ".ko");
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw last_error("nested guests need " + file.string());
    const long loaded = ::syscall(SYS_finit_module, fd, "", 0);
    const int error = errno;
    ::close(fd);
    if (loaded != 0 && error != EEXIST) {
        errno = error;
        throw last_error("loading " + file.string());
    }
}

/// The machine emulates AMD's virtualization.
void load_kvm()
{
    if (fs::exists("/dev/kvm")) return;
    for (const char* name : {"irqbypass", "kvm", "kvm-amd"}) load_module(name);
}

[[noreturn]] void be_a_vmm(unsigned cpu,
                           const std::vector<unsigned>& housekeeping,
                           int console)
{
    try {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_to(housekeeping);
        const int null = ::open("/dev/null", O_RDONLY);
        ::dup2(null, STDIN_FILENO);
        ::dup2(console, STDOUT_FILENO);
        ::dup2(console, STDERR_FILENO);
        const std::string pin = std::to_string(cpu);
        ::execl(protocol::kVmm, protocol::kVmm, "--guest", protocol::kVmmGuest,
                "--append", "scenario=spin", "--pin", pin.c_str(), "--timeout",
                "86400", "--mem", "16M", "--quiet", nullptr);
        throw last_error(protocol::kVmm);
    } catch (const std::exception& error) {
        ::dprintf(console, "%s\n", error.what());
    }
    ::_exit(127);
}

std::uint64_t number_in(const fs::path& file)
{
    const auto text = read_file(file.string());
    return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

}  // namespace

NestedGuests::NestedGuests(const std::vector<unsigned>& cpus,
                           const std::vector<unsigned>& housekeeping)
{
    load_kvm();
    for (const unsigned cpu : cpus) start(cpu, housekeeping);
}

void NestedGuests::start(unsigned cpu,
                         const std::vector<unsigned>& housekeeping)
{
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) throw last_error("pipe");
    const pid_t child = ::fork();
    if (child < 0) throw last_error("fork");
    if (child == 0) be_a_vmm(cpu, housekeeping, pipe[1]);
    ::close(pipe[1]);
    guests_.push_back({cpu, child, pipe[0]});

    std::string said;
    const auto limit = Clock::now() + kVmmPatience;
    while (said.find(kReady) == std::string::npos) {
        pollfd event{pipe[0], POLLIN, 0};
        const int ready = ::poll(&event, 1, 100);
        if (ready > 0) {
            char chunk[512];
            const ssize_t got = ::read(pipe[0], chunk, sizeof chunk);
            if (got <= 0)
                throw std::runtime_error{"the nested guest on CPU " +
                                         std::to_string(cpu) +
                                         " has ended: " + said};
            said.append(chunk, static_cast<std::size_t>(got));
        }
        if (Clock::now() > limit)
            throw std::runtime_error{"the nested guest on CPU " +
                                     std::to_string(cpu) +
                                     " does not spin: " + said};
    }
}

NestedGuests::~NestedGuests()
{
    for (const auto& guest : guests_) {
        ::kill(guest.pid, SIGKILL);
        ::waitpid(guest.pid, nullptr, 0);
        ::close(guest.console);
    }
}

void NestedGuests::stop()
{
    for (auto& guest : guests_) ::kill(guest.pid, SIGTERM);
    const auto limit = Clock::now() + kVmmPatience;
    for (auto& guest : guests_) {
        // Or another one buried it already; it has ended then, too.
        while (::waitpid(guest.pid, nullptr, WNOHANG) == 0) {
            if (Clock::now() > limit)
                throw std::runtime_error{"the VMM on CPU " +
                                         std::to_string(guest.cpu) +
                                         " does not end"};
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        ::close(guest.console);
    }
    guests_.clear();
}

std::vector<NestedGuests::Seen> NestedGuests::seen() const
{
    std::vector<Seen> all;
    for (const auto& guest : guests_) {
        // PID-FD, one VM per process.
        const std::string prefix = std::to_string(guest.pid) + "-";
        std::error_code error;
        for (const auto& entry : fs::directory_iterator{kStatistics, error})
            if (entry.path().filename().string().starts_with(prefix))
                all.push_back({guest.cpu, number_in(entry.path() / "exits"),
                               number_in(entry.path() / "irq_exits")});
    }
    return all;
}

}  // namespace ipidefer::lab::agent
