// SPDX-License-Identifier: GPL-2.0-or-later
// A VMM without a hypervisor: a VM whose housekeeping vCPU sends IPIs to
// isolated ones, for as long as asked. To try the host tools by hand, and for
// tests that need the VM in a process of its own.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

#include "base/command_line.hpp"
#include "host/segment/status.hpp"
#include "host/segment/tests/test_vm.hpp"

namespace {

volatile std::sig_atomic_t stop = 0;

int run(int argc, char** argv)
{
    using namespace ipidefer;
    using segment::test::TestVm;
    CLI::App app{"A VM without a guest, for tests of the host tools",
                 "ipidefer-test-vmm"};
    std::string name;
    std::string folder;
    std::string isolated = "2-3";
    TestVm::Options options;
    options.ring_entries = 1u << 14;
    unsigned rate = 1000;
    unsigned seconds = 60;
    app.add_option("name", name, "name of the VM")->required();
    app.add_option("--shm-dir", folder);
    app.add_option("--vcpus", options.vcpus)
        ->capture_default_str()
        ->check(CLI::Range(2u, IPIDEFER_MAX_VCPUS));
    app.add_option("--isolated", isolated)->capture_default_str();
    app.add_option("--rate", rate, "IPIs a second")
        ->capture_default_str()
        ->check(CLI::Range(1u, 100'000u));
    app.add_option("--seconds", seconds)->capture_default_str();
    if (const auto status = parse_command_line(app, argc, argv)) return *status;
    options.isolated = parse_cpulist(isolated, options.vcpus);

    std::signal(SIGTERM, [](int) { stop = 1; });
    std::signal(SIGINT, [](int) { stop = 1; });
    if (ipidefer_shm_guard(nullptr) != 0) return 1;
    TestVm vm{folder, name, options};
    std::cout << "ready" << std::endl;

    std::mt19937 random{1};
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
    const std::vector<unsigned> targets{options.isolated.begin(),
                                        options.isolated.end()};
    while (stop == 0 && std::chrono::steady_clock::now() < end) {
        const unsigned dice = random() % 64;
        const auto vector = dice % 4 == 0 ? segment::test::kKernelTlbi
                                          : segment::test::kSyncCore;
        vm.send(0, vector, options.isolated);
        if (dice == 0)
            vm.enter(targets[random() % targets.size()], TestVm::State::kUser);
        if (dice == 1) vm.write_icr(0, 0xfd, {targets.front()});
        vm.tick(segment::read_tsc());
        std::this_thread::sleep_for(
            std::chrono::microseconds{1'000'000 / rate});
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv)
{
    return ipidefer::main_of("ipidefer-test-vmm",
                             [&] { return run(argc, argv); });
}
