// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/box.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/installed.hpp"
#include "base/pipe.hpp"
#include "base/process.hpp"
#include "base/scratch.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "experiments/lab/host_time.hpp"
#include "experiments/lab/kvm_probe.hpp"
#include "experiments/lab/progress.hpp"
#include "experiments/lab/qemu_command.hpp"
#include "experiments/lab/signals.hpp"

namespace ipidefer::lab {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

constexpr std::size_t kShownLines = 20;
constexpr auto kCopyInterval = 500ms;

/// In the order to load them in.
constexpr const char* kKvmModules[] = {"irqbypass.ko", "kvm.ko", "kvm-amd.ko"};

/// Files of the job, which box-init.sh knows as well.
constexpr char kModules[] = "modules";
constexpr char kShares[] = "shares";
constexpr char kEnvironment[] = "environment";
constexpr char kFolder[] = "folder";
constexpr char kCommand[] = "command";
constexpr char kStarted[] = "started";
constexpr char kHost[] = "host";
constexpr char kStatus[] = "status";

std::string share_tag(std::size_t number)
{
    return "share" + std::to_string(number);
}

fs::path kvm_module(const fs::path& kernel, const std::string& name)
{
    const fs::path folder = kernel.parent_path() / "modules";
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator{folder, error})
        if (entry.path().filename() == name) return entry.path();
    throw Failure{Exit::kCannotRun,
                  "the box's kernel needs KVM as modules, and there is no " +
                      name + " below " + folder.string()};
}

/// Variables that a shell can have, but for what is of this process only.
std::string environment_for_shell()
{
    const auto is_name = [](std::string_view name) {
        return !name.empty() && (std::isdigit(name[0]) == 0) &&
               std::ranges::all_of(name, [](unsigned char c) {
                   return c == '_' || std::isalnum(c) != 0;
               });
    };
    std::string lines;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text{*variable};
        const auto equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        const auto name = text.substr(0, equals);
        if (!is_name(name) || name == "PWD" || name == "OLDPWD") continue;
        lines += "export " + std::string{name} + '=' +
                 shell_quoted({std::string{text.substr(equals + 1)}}) + '\n';
    }
    return lines;
}

void write_job(const BoxSpec& spec, const fs::path& job)
{
    const auto write = [&](const char* name, const std::string& text) {
        write_whole(job / name, text);
    };
    std::string modules;
    for (const char* name : kKvmModules)
        modules += kvm_module(spec.kernel, name).string() + '\n';
    write(kModules, modules);
    std::string shares;
    for (std::size_t i = 0; i < spec.shares.size(); ++i)
        shares += share_tag(i) + ' ' + spec.shares[i].string() + '\n';
    write(kShares, shares);
    write(kEnvironment, environment_for_shell());
    write(kFolder, fs::current_path().string() + '\n');
    if (!spec.command.empty())
        write(kCommand, shell_quoted(spec.command) + '\n');
}

std::string end_of(const fs::path& log)
{
    std::error_code error;
    if (!fs::is_regular_file(log, error)) return {};
    const std::string text = read_whole(log);
    const auto lines = lines_of(text);
    std::string end;
    for (std::size_t i = lines.size() - std::min(lines.size(), kShownLines);
         i < lines.size(); ++i)
        end += printable(trimmed(lines[i])) + '\n';
    return end;
}

void write_all(int to, const char* data, std::size_t size)
{
    while (size > 0) {
        const ssize_t done = ::write(to, data, size);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) throw system_failure("cannot pass on the box's output");
        data += done;
        size -= static_cast<std::size_t>(done);
    }
}

/// What the command says, until QEMU has ended.
asio::awaitable<void> relay(int from, int to)
{
    asio::posix::stream_descriptor in{co_await asio::this_coro::executor,
                                      ::dup(from)};
    std::array<char, 65536> buffer;
    for (;;) {
        boost::system::error_code error;
        const auto got = co_await in.async_read_some(
            asio::buffer(buffer),
            asio::redirect_error(asio::use_awaitable, error));
        if (got > 0) write_all(to, buffer.data(), got);
        if (error) co_return;
    }
}

/// Until the box obeys, or QEMU has ended. Throws a Failure when that takes too
/// long.
asio::awaitable<void> starts(const BoxSpec& spec, const fs::path& job,
                             Process& qemu)
{
    const auto end = std::chrono::steady_clock::now() + spec.timeout;
    Progress progress;
    progress.show("booting a KVM host under TCG");
    asio::steady_timer timer{co_await asio::this_coro::executor};
    while (!fs::exists(job / kStarted) && !qemu.wait_for(0ms)) {
        if (std::chrono::steady_clock::now() > end)
            throw Failure{Exit::kCannotRun,
                          "the box has not started within " +
                              std::to_string(spec.timeout.count()) + " s"};
        timer.expires_after(100ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

/// For a lab in the box, which must tell a guest that hangs from a box that is
/// not run.
asio::awaitable<void> copy_times(const fs::path& job, Process& qemu)
{
    asio::steady_timer timer{co_await asio::this_coro::executor};
    while (!qemu.wait_for(0ms)) {
        copy_thread_times(qemu.pid(), job / kHost);
        timer.expires_after(kCopyInterval);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

/// @return the signal that ended this before QEMU did, or 0
int passed_on(const BoxSpec& spec, const fs::path& job, Process& qemu,
              const Pipe& out, const Pipe& errors, EndingSignals& signals)
{
    auto done =
        asio::co_spawn(signals.io(),
                       (relay(out.read.get(), STDOUT_FILENO) &&
                        relay(errors.read.get(), STDERR_FILENO) &&
                        starts(spec, job, qemu) && copy_times(job, qemu)) ||
                           signals.any(),
                       asio::use_future);
    signals.io().run();
    const auto result = done.get();
    return result.index() == 0 ? 0 : std::get<1>(result);
}

int status_of(const fs::path& job)
{
    std::error_code error;
    const auto status = fs::exists(job / kStatus, error)
                            ? number_of<int>(trimmed(read_whole(job / kStatus)))
                            : std::nullopt;
    if (!status)
        throw Failure{Exit::kCannotRun,
                      fs::exists(job / kStarted, error)
                          ? "the box ended before its command did"
                          : "the box did not start"};
    return *status;
}

}  // namespace

std::string box_kernel_command_line(const BoxSpec& spec, const fs::path& init)
{
    std::string line =
        "console=ttyS0 root=host rootfstype=9p "
        "rootflags=trans=virtio,version=9p2000.L,msize=262144,cache=loose ro "
        "init=" +
        init.string() + " tsc=reliable no_timer_check panic=-1";
    if (!spec.isolated.empty())
        line += ' ' +
                isolation(spec.isolated, complement(spec.isolated, spec.cpus));
    if (!spec.append.empty()) line += ' ' + spec.append;
    return line;
}

std::vector<std::string> box_arguments(const BoxSpec& spec,
                                       const fs::path& init,
                                       const fs::path& job)
{
    std::vector<std::string> arguments = bare_machine();
    const auto add = [&](const char* option, std::string value) {
        arguments.emplace_back(option);
        arguments.push_back(std::move(value));
    };
    const auto share = [&](const std::string& tag, const fs::path& folder,
                           const char* how) {
        add("-fsdev", "local,id=" + tag + ",path=" + escaped(folder.string()) +
                          ",security_model=none" + how);
        add("-device", "virtio-9p-pci,fsdev=" + tag + ",mount_tag=" + tag);
    };
    add("-machine", "q35");
    add("-accel", "tcg,thread=multi");
    add("-cpu", "max,+svm");
    add("-smp", std::to_string(spec.cpus));
    add("-m", spec.memory);
    add("-kernel", spec.kernel.string());
    add("-append", box_kernel_command_line(spec, init));
    add("-serial", "file:" + escaped(spec.console.string()));
    share("host", "/", ",readonly=on,multidevs=remap");
    share("job", job, "");
    for (std::size_t i = 0; i < spec.shares.size(); ++i)
        share(share_tag(i), spec.shares[i], ",multidevs=remap");
    add("-device", "virtio-serial");
    if (spec.command.empty()) {
        add("-chardev", "stdio,id=terminal,signal=off");
        add("-device", "virtconsole,chardev=terminal");
        return arguments;
    }
    // Its ports, to the descriptors that QEMU inherits as 3 and 4.
    add("-chardev", "file,id=out,path=/proc/self/fd/3,append=on");
    add("-device", "virtserialport,name=out,chardev=out");
    add("-chardev", "file,id=errors,path=/proc/self/fd/4,append=on");
    add("-device", "virtserialport,name=errors,chardev=errors");
    return arguments;
}

std::vector<std::string> our_command_in_box(
    const std::vector<std::string>& command)
{
    std::vector<std::string> words{"/usr/bin/env",
                                   std::string{kKvmVariable} + "=whole",
                                   fs::canonical("/proc/self/exe").string()};
    words.insert(words.end(), command.begin() + 1, command.end());
    return words;
}

int run_in_box(const BoxSpec& given)
{
    // Before the folder is made, and until it is gone: it has our environment.
    EndingSignals signals;
    const Scratch scratch;
    BoxSpec spec = given;
    if (spec.console.empty()) spec.console = scratch.path() / "console.log";
    const fs::path job = scratch.path() / "job";
    const fs::path log = scratch.path() / "qemu.log";
    fs::create_directory(job);
    write_job(spec, job);
    Process::Start start{
        .program = spec.qemu,
        .arguments = box_arguments(spec, installed("box-init.sh"), job),
        .bound_to_us = true};
    try {
        if (spec.command.empty()) {
            start.interactive = true;
            Process qemu{start};
            (void)signals.wait_for(qemu);
            return status_of(job);
        }
        Pipe out;
        Pipe errors;
        start.log = log;
        start.descriptors = {out.write.get(), errors.write.get()};
        Process qemu{start};
        // QEMU's are the only ends to write to, so that reading ends with it.
        out.write = UniqueFd{};
        errors.write = UniqueFd{};
        if (const int signal = passed_on(spec, job, qemu, out, errors, signals))
            return ended_by_signal(signal);
        (void)qemu.wait();
        return status_of(job);
    } catch (const Failure& failure) {
        throw Failure{failure.exit(), failure.what(),
                      end_of(log) + end_of(spec.console)};
    }
}

}  // namespace ipidefer::lab
