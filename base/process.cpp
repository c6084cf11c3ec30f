// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <streambuf>

#include "base/failure.hpp"
#include "base/pipe.hpp"

namespace ipidefer {
namespace {

constexpr mode_t kLogMode = 0644;

/// Of no number that a descriptor is to have in the program.
UniqueFd high_copy(int descriptor)
{
    constexpr int kAbove = 32;
    UniqueFd copy{::fcntl(descriptor, F_DUPFD_CLOEXEC, kAbove)};
    if (!copy) throw system_failure("F_DUPFD_CLOEXEC");
    return copy;
}

std::vector<std::string> words_of(const std::filesystem::path& program,
                                  const std::vector<std::string>& arguments)
{
    std::vector<std::string> words{program.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
}

std::vector<char*> pointers_to(std::vector<std::string>& words)
{
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// In the child, where other threads' locks are held for ever: system calls
/// only.
[[noreturn]] void become(const Process::Start& start, char* const* arguments,
                         char* const* environment, int input, int output,
                         const std::vector<UniqueFd>& passed, int failed,
                         pid_t parent) noexcept
{
    if (start.bound_to_us) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        // It may have ended before that was said.
        if (::getppid() != parent) ::_exit(1);
        // Only the terminal's foreground group may read from it.
        if (!start.interactive) ::setpgid(0, 0);
    }
    bool good = start.interactive || ::dup2(input, STDIN_FILENO) >= 0;
    if (output >= 0)
        good = good && ::dup2(output, STDOUT_FILENO) >= 0 &&
               ::dup2(output, STDERR_FILENO) >= 0;
    // All of them are copies above what they become.
    int next = STDERR_FILENO + 1;
    for (const UniqueFd& descriptor : passed)
        good = good && ::dup2(descriptor.get(), next++) >= 0;
    // A kernel before 5.11 does not know the flag; then what was opened without
    // O_CLOEXEC is inherited, which is nothing of ours.
    (void)::close_range(static_cast<unsigned>(next), ~0u, CLOSE_RANGE_CLOEXEC);
    if (good) ::execve(arguments[0], arguments, environment);
    const int error = errno;
    (void)!::write(failed, &error, sizeof error);
    ::_exit(1);
}

class DescriptorBuffer final : public std::streambuf {
  public:
    explicit DescriptorBuffer(int descriptor) : descriptor_{descriptor} {}

  private:
    int_type underflow() override
    {
        ssize_t got = 0;
        do {
            got = ::read(descriptor_, buffer_.data(), buffer_.size());
        } while (got < 0 && errno == EINTR);
        if (got <= 0) return traits_type::eof();
        setg(buffer_.data(), buffer_.data(), buffer_.data() + got);
        return traits_type::to_int_type(buffer_[0]);
    }

    int descriptor_;
    std::array<char, 4096> buffer_{};
};

class DescriptorStream final : public std::istream {
  public:
    explicit DescriptorStream(int descriptor)
        : std::istream{nullptr}, buffer_{descriptor}
    {
        rdbuf(&buffer_);
    }

  private:
    DescriptorBuffer buffer_;
};

}  // namespace

int milliseconds_until(std::chrono::steady_clock::time_point end) noexcept
{
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(
        left.count(), 0, std::numeric_limits<int>::max()));
}

void become_program(const std::filesystem::path& program,
                    const std::vector<std::string>& arguments)
{
    auto words = words_of(program, arguments);
    ::execv(program.c_str(), pointers_to(words).data());
    throw system_failure("cannot run " + program.string());
}

Process::Process(const Start& start)
{
    auto words = words_of(start.program, start.arguments);
    std::vector<std::string> variables = start.environment;
    // The first of a name counts.
    for (char** variable = environ; *variable != nullptr; ++variable)
        variables.emplace_back(*variable);
    const auto arguments = pointers_to(words);
    const auto environment = pointers_to(variables);

    const UniqueFd input{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (!input) throw system_failure("/dev/null");
    std::optional<Pipe> piped;
    UniqueFd log;
    if (start.piped) piped.emplace();
    if (start.log) {
        log = UniqueFd{::open(start.log->c_str(),
                              O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                              kLogMode)};
        if (!log) throw system_failure(start.log->string());
    }
    const int output = piped ? piped->write.get() : log.get();
    Pipe failed;
    failed.write = high_copy(failed.write.get());
    std::vector<UniqueFd> passed;
    for (const int descriptor : start.descriptors)
        passed.push_back(high_copy(descriptor));
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw system_failure("fork");
    if (pid_ == 0)
        become(start, arguments.data(), environment.data(), input.get(), output,
               passed, failed.write.get(), parent);
    // Not yet reaped, so the number is still its own.
    pidfd_ = UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
    const int no_pidfd = errno;
    failed.write = UniqueFd{};
    int error = 0;
    ssize_t got = 0;
    do {
        got = ::read(failed.read.get(), &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    if (got == sizeof error || !pidfd_) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        if (got == sizeof error)
            throw system_failure("cannot run " + start.program.string(), error);
        throw system_failure("pidfd_open", no_pidfd);
    }
    if (piped) output_ = std::move(piped->read);
}

Process::~Process()
{
    if (status_) return;
    signal(SIGKILL);
    (void)wait();
}

int Process::wait()
{
    if (status_) return *status_;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0)
        if (errno != EINTR) throw system_failure("waitpid");
    status_ =
        WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
    return *status_;
}

std::optional<int> Process::wait_for(std::chrono::milliseconds timeout)
{
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!status_) {
        pollfd ended{pidfd_.get(), POLLIN, 0};
        const int ready = ::poll(&ended, 1, milliseconds_until(end));
        if (ready == 0) return std::nullopt;
        if (ready > 0) return wait();
        if (errno != EINTR) throw system_failure("poll");
    }
    return status_;
}

void Process::signal(int number) noexcept
{
    if (!status_)
        (void)::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr,
                        0);
}

std::unique_ptr<std::istream> stream_of(int descriptor)
{
    return std::make_unique<DescriptorStream>(descriptor);
}

}  // namespace ipidefer
