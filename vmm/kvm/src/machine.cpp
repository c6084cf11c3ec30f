// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/kvm/src/machine.hpp"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdio>
#include <thread>

#include "base/duration.hpp"
#include "base/failure.hpp"
#include "vmm/kvm/src/boot_info.hpp"
#include "vmm/kvm/src/cpuid.hpp"

namespace ipidefer::vmm {
namespace {

/// Where KVM on Intel keeps its own TSS; beyond RAM, below the APIC.
constexpr std::uint64_t kKvmTssGpa = 0xfffb'd000;
constexpr std::uint64_t kNsPerMs = 1'000'000;
/// A vCPU that is still in KVM after this long will not come back.
constexpr std::uint64_t kStopWithin = 20 * kNsPerSecond;
constexpr auto kKickAgain = std::chrono::milliseconds{1};

/// SIGINT and SIGTERM as a file descriptor, while this exists.
class StopSignals {
  public:
    StopSignals()
    {
        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, SIGINT);
        ::sigaddset(&set, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &set, &before_);
        fd_ = UniqueFd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
        if (!fd_) throw system_failure("signalfd");
    }
    ~StopSignals()
    {
        // One that was acted on must not kill us once it is let through.
        signalfd_siginfo info{};
        while (::read(fd_.get(), &info, sizeof(info)) > 0) {
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  private:
    sigset_t before_{};
    UniqueFd fd_;
};

void pin_this_thread(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    const int error =
        ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set);
    if (error != 0)
        throw system_failure("pinning to host CPU " + std::to_string(cpu),
                             error);
}

/// Writes what can be written without waiting, and keeps the rest: a reader
/// that has stopped reading must not stop us.
void write_some(int fd, std::string& text)
{
    while (!text.empty()) {
        pollfd poll{fd, POLLOUT, 0};
        if (::poll(&poll, 1, 0) != 1 || (poll.revents & POLLOUT) == 0) return;
        // Writable means that a pipe takes this much without blocking.
        const auto bytes = std::min<std::size_t>(text.size(), PIPE_BUF);
        const auto written = ::write(fd, text.data(), bytes);
        if (written <= 0) return;
        text.erase(0, static_cast<std::size_t>(written));
    }
}

std::string command_line(const MachineConfig& config)
{
    std::string isolated;
    for (const unsigned vcpu : config.policy.isolated.value_or(CpuSet{})) {
        if (!isolated.empty()) isolated += ',';
        isolated += std::to_string(vcpu);
    }
    return "cpus=" + std::to_string(config.vcpus) + " isolated=" + isolated +
           (config.append.empty() ? "" : " " + config.append);
}

}  // namespace

Machine::Machine(const Kvm& kvm, const MachineConfig& config)
    : config_{config},
      memory_{config.ram_bytes},
      vm_{kvm.create_vm()},
      interceptor_{config.policy, config.trace, config.vcpus, memory_,
                   config.segment},
      router_{interceptor_, config.vcpus},
      ports_{ending_, [this] { return snapshot(); }}
{
    if (config.vcpus > kvm.most_vcpus())
        throw Failure{Exit::kCannotRun, std::to_string(config.vcpus) +
                                            " vCPUs, this KVM's limit is " +
                                            std::to_string(kvm.most_vcpus())};
    if (::ioctl(vm_.get(), KVM_SET_TSS_ADDR, kKvmTssGpa) < 0)
        throw system_failure("KVM_SET_TSS_ADDR");
    memory_.attach(vm_.get());
    trap_msrs(vm_.get(), {kMsrApicBase, IPI_DEFER_MSR_REGISTER});
    const auto supported = kvm.supported_cpuid();
    for (unsigned i = 0; i < config.vcpus; ++i) {
        Cpu cpu;
        cpu.vcpu = std::make_unique<Vcpu>(vm_.get(), i, kvm.run_bytes());
        cpu.vcpu->set_cpuid(guest_cpuid(supported, i, config.vcpus));
        cpu.vcpu->set_state(sipi_state(0));
        cpu.loop =
            std::make_unique<RunLoop>(i, *cpu.vcpu, router_, ports_, ending_);
        router_.connect(i, cpu.loop->kick(), cpu.loop->identity());
        cpus_.push_back(std::move(cpu));
    }
    // The vCPUs do not run yet, and start with the same TSC.
    if (const auto offset = cpus_.front().vcpu->tsc_offset();
        offset && interceptor_.has_segment())
        interceptor_.tell_guest_tsc_offset(*offset);
}

Machine::~Machine() = default;

void Machine::load(const Image& image)
{
    write_boot_info(memory_.boot_info(), memory_.ram().size(),
                    command_line(config_));
    if (image.entry == Entry::kLong64) write_page_tables(memory_.ram());
    load_image(image, memory_.ram());
    cpus_.front().loop->start_at(entry_state(image));
}

std::vector<VcpuCounts> Machine::counts() const
{
    std::vector<VcpuCounts> counts;
    for (const auto& cpu : cpus_) counts.push_back(cpu.loop->counts());
    return counts;
}

bool Machine::counts_exits() const
{
    return cpus_.front().vcpu->exits().has_value();
}

Mark Machine::snapshot() const
{
    Mark mark;
    mark.ns = now_ns() - started_;
    mark.vcpus = counts();
    return mark;
}

void Machine::stop_all()
{
    for (auto& cpu : cpus_) cpu.loop->kick().kick();
}

Outcome Machine::run(unsigned seconds, int console_fd)
{
    Kick::install_handler();
    started_ = now_ns();
    const StopSignals stop;  // blocked in all threads that start from here
    std::atomic<unsigned> left{0};
    std::vector<std::thread> threads;
    threads.reserve(cpus_.size());
    try {
        for (unsigned i = 0; i < cpus_.size(); ++i) {
            ++left;
            threads.emplace_back([this, i, &left] {
                try {
                    if (!config_.pin.empty()) pin_this_thread(config_.pin[i]);
                    cpus_[i].loop->run();
                } catch (const std::exception& error) {
                    ending_.set({Outcome::Kind::kBroken, 0, error.what()});
                }
                --left;
                ending_.notify();
            });
        }
    } catch (const std::exception& error) {
        --left;
        ending_.set({Outcome::Kind::kBroken, 0,
                     std::string{"starting a thread: "} + error.what()});
    }

    std::string console;
    const std::uint64_t end = started_ + seconds * kNsPerSecond;
    std::uint64_t tick_at = interceptor_.has_segment() ? started_ : UINT64_MAX;
    while (!ending_.is_set()) {
        std::uint64_t now = now_ns();
        if (now >= tick_at) {
            tick_at = now + router_.tick();
            now = now_ns();
        }
        if (now >= end) {
            ending_.set({Outcome::Kind::kTimeout, 0,
                         "not done after " + std::to_string(seconds) + " s"});
            break;
        }
        pollfd polls[] = {{ending_.event(), POLLIN, 0},
                          {stop.fd(), POLLIN, 0},
                          {console.empty() ? -1 : console_fd, POLLOUT, 0}};
        const std::uint64_t next = std::min(end, tick_at);
        const auto ms = std::min<std::uint64_t>(
            next > now ? (next - now) / kNsPerMs + 1 : 0, INT_MAX);
        ::poll(polls, std::size(polls), static_cast<int>(ms));
        if ((polls[1].revents & POLLIN) != 0)
            ending_.set({Outcome::Kind::kSignal, 0, "stopped by a signal"});
        ending_.clear_event();
        console += ports_.take_console();
        write_some(console_fd, console);
    }

    // A vCPU may kick another one until it has ended, so none is joined, which
    // would make its pthread_t invalid, before all have.
    const std::uint64_t patience = now_ns() + kStopWithin;
    while (left.load() != 0) {
        stop_all();
        std::this_thread::sleep_for(kKickAgain);
        if (now_ns() < patience) continue;
        // Its thread would use what we are about to destroy.
        std::fprintf(
            stderr, "ipidefer-vmm: %u vCPUs did not leave KVM within %llu s\n",
            left.load(),
            static_cast<unsigned long long>(kStopWithin / kNsPerSecond));
        ::_exit(static_cast<int>(Exit::kCannotRun));
    }
    for (auto& thread : threads) thread.join();
    console += ports_.take_console();
    write_some(console_fd, console);
    return *ending_.outcome();
}

}  // namespace ipidefer::vmm
