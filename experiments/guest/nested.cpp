// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/nested.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "base/failure.hpp"
#include "base/text.hpp"
#include "experiments/guest/files.hpp"
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
    if (fd < 0) throw system_failure("nested guests need " + file.string());
    const long loaded = ::syscall(SYS_finit_module, fd, "", 0);
    const int error = errno;
    ::close(fd);
    if (loaded != 0 && error != EEXIST)
        throw system_failure("loading " + file.string(), error);
}

/// The machine emulates AMD's virtualization.
void load_kvm()
{
    if (fs::exists("/dev/kvm")) return;
    for (const char* name : {"irqbypass", "kvm", "kvm-amd"}) load_module(name);
}

std::uint64_t number_in(const fs::path& file)
{
    return number_of<std::uint64_t>(
               trimmed(read_file(file.string()).value_or("")))
        .value_or(0);
}

}  // namespace

NestedGuests::NestedGuests(const std::vector<unsigned>& cpus)
{
    load_kvm();
    for (const unsigned cpu : cpus) start(cpu);
}

void NestedGuests::start(unsigned cpu)
{
    auto vmm = std::make_unique<Process>(Process::Start{
        .program = protocol::kVmm,
        .arguments = {"--guest", protocol::kVmmGuest, "--append",
                      "scenario=spin", "--pin", std::to_string(cpu),
                      "--timeout", "86400", "--mem", "16M", "--quiet"},
        .piped = true,
        .bound_to_us = true});
    const int console = vmm->output();
    guests_.push_back({cpu, std::move(vmm)});

    std::string said;
    const auto limit = Clock::now() + kVmmPatience;
    while (said.find(kReady) == std::string::npos) {
        pollfd event{console, POLLIN, 0};
        const int ready = ::poll(&event, 1, milliseconds_until(limit));
        if (ready > 0) {
            char chunk[512];
            const ssize_t got = ::read(console, chunk, sizeof chunk);
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

void NestedGuests::stop()
{
    for (const auto& guest : guests_) guest.vmm->signal(SIGTERM);
    const auto limit = Clock::now() + kVmmPatience;
    for (const auto& guest : guests_)
        if (!guest.vmm->wait_for(
                std::chrono::milliseconds{milliseconds_until(limit)}))
            throw std::runtime_error{"the VMM on CPU " +
                                     std::to_string(guest.cpu) +
                                     " does not end"};
    guests_.clear();
}

std::vector<NestedGuests::Seen> NestedGuests::seen() const
{
    std::vector<Seen> all;
    for (const auto& guest : guests_) {
        // PID-FD, one VM per process.
        const std::string prefix = std::to_string(guest.vmm->pid()) + "-";
        std::error_code error;
        for (const auto& entry : fs::directory_iterator{kStatistics, error})
            if (entry.path().filename().string().starts_with(prefix))
                all.push_back({guest.cpu, number_in(entry.path() / "exits"),
                               number_in(entry.path() / "irq_exits")});
    }
    return all;
}

}  // namespace ipidefer::lab::agent
