// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/lab_run.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "base/failure.hpp"
#include "base/scratch.hpp"
#include "experiments/lab/experiment.hpp"
#include "experiments/lab/progress.hpp"
#include "experiments/lab/provenance.hpp"
#include "experiments/lab/report_json.hpp"
#include "experiments/lab/table.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

/// What a shell reports for a program that a signal ended.
constexpr int kSignalled = 128;

void check_kvm(const Options& options)
{
    if (options.accel != Accel::kKvm) return;
    const int fd = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        throw Failure{
            Exit::kNotPossible,
            std::string{"--accel kvm: /dev/kvm: "} + std::strerror(errno)};
    const int version = ::ioctl(fd, KVM_GET_API_VERSION, 0);
    ::close(fd);
    if (version != KVM_API_VERSION)
        throw Failure{Exit::kNotPossible, "--accel kvm: KVM has API version " +
                                              std::to_string(version) +
                                              ", not " +
                                              std::to_string(KVM_API_VERSION)};
}

/// Ends with nothing, or with what stopped the experiment.
asio::awaitable<std::optional<Failure>> attempt(const Options& options,
                                                Progress& progress,
                                                Report& report)
{
    try {
        const Scratch scratch;
        co_await run_experiment(options, scratch.path(), progress, report);
    } catch (const Failure& failure) {
        co_return failure;
    }
    co_return std::nullopt;
}

asio::awaitable<int> any_signal()
{
    asio::signal_set signals{co_await asio::this_coro::executor, SIGINT,
                             SIGTERM};
    co_return co_await signals.async_wait(asio::use_awaitable);
}

void tell(const Failure& failure)
{
    std::cerr << "ipidefer: " << failure.what() << '\n';
    if (failure.detail().empty()) return;
    std::cerr << "---- the last lines:\n" << failure.detail();
    if (!failure.detail().ends_with('\n')) std::cerr << '\n';
}

void write_json(const std::string& to, const Report& report)
{
    const std::string text =
        to_json(report).dump(2, ' ', false,
                             nlohmann::ordered_json::error_handler_t::replace) +
        '\n';
    if (to == "-") {
        std::cout << text;
        return;
    }
    std::ofstream out{to};
    out << text;
    if (!out.flush())
        throw Failure{Exit::kCannotRun, "--json: cannot write '" + to + "'"};
}

}  // namespace

int lab_run(const RawOptions& raw, const std::filesystem::path& guest_programs,
            const std::vector<std::string>& command)
{
    const Options options = check_options(raw, guest_programs);
    check_kvm(options);

    Report report;
    std::optional<Failure> failure;
    int signal = 0;
    {
        Progress progress;
        progress.show("hashing kernel and QEMU");
        report.provenance = provenance(options, command);
        asio::io_context io;
        auto done = asio::co_spawn(
            io, attempt(options, progress, report) || any_signal(),
            asio::use_future);
        io.run();
        auto result = done.get();
        if (result.index() == 0)
            failure = std::get<0>(std::move(result));
        else
            signal = std::get<1>(result);
    }
    if (signal != 0) {
        std::cerr << "ipidefer: ended by signal " << signal << '\n';
        return kSignalled + signal;
    }

    // With --json - standard output is for a program.
    (options.json == "-" ? std::cerr : std::cout)
        << render_tables(report.runs) << std::flush;
    if (!options.json.empty()) write_json(options.json, report);
    if (failure) {
        tell(*failure);
        return static_cast<int>(failure->exit());
    }
    const bool agree = std::ranges::all_of(
        report.runs, [](const Run& run) { return run.disagreements.empty(); });
    return static_cast<int>(agree ? Exit::kDone : Exit::kDefect);
}

}  // namespace ipidefer::lab
