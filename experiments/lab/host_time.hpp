// SPDX-License-Identifier: GPL-2.0-or-later
// How much of the host's time QEMU's threads were given: what tells a guest
// that hangs from a guest that the host did not let run.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ipidefer::lab {

/// What the host says of a thread at one moment, since the thread began.
struct ThreadTime {
    std::chrono::nanoseconds ran{};
    /// Ready to run, while the host ran something else.
    std::chrono::nanoseconds waited{};
    /// By SIGSTOP or a debugger.
    bool stopped = false;
    /// Runs, or waits for a CPU.
    bool ready = false;

    bool operator==(const ThreadTime&) const = default;
};

/// From the texts of schedstat and stat in /proc/PID/task/TID; nothing when
/// they are something else.
[[nodiscard]] std::optional<ThreadTime> parse_thread_time(
    std::string_view schedstat, std::string_view stat);

/// A thread that could not run, as the host did not let it.
struct Starvation {
    std::string thread;  // "vCPU 2"
    std::chrono::milliseconds lost{};
};

class HostTime {
  public:
    using Clock = std::chrono::steady_clock;

    /// How much the host must have withheld to be the reason.
    enum class Share {
        /// Half of what the guest's kernel waited for. It was late with
        /// something that needs little, and may have needed the other half.
        kHalf,
        /// All but a twentieth. The guest made no progress at all, for which it
        /// has no excuse while it is given some of the time.
        kNearlyAll,
    };

    void add(std::string thread, Clock::time_point now, const ThreadTime& time)
    {
        histories_.push_back({std::move(thread), now, time, {}});
    }
    /// The next moment of the thread that was added as number `index`.
    void update(std::size_t index, Clock::time_point now,
                const ThreadTime& time);

    /// The thread that lost most in `span` before `end`, if it lost enough.
    [[nodiscard]] std::optional<Starvation> starvation(
        Clock::time_point end, std::chrono::nanoseconds span,
        Share share) const;

  private:
    struct Stretch {
        Clock::time_point end;
        std::chrono::nanoseconds ran;
        std::chrono::nanoseconds lost;
    };
    struct History {
        std::string thread;
        Clock::time_point last;
        ThreadTime time;
        std::deque<Stretch> stretches;
    };

    std::vector<History> histories_;
};

/// By thread ID, in digits.
using ThreadTimes = std::map<std::string, ThreadTime>;

/// The threads of one process, read from /proc. A thread that is gone, and a
/// host whose kernel does not count, add nothing: then nothing is starvation.
class ProcessTime {
  public:
    void watch(std::string name, pid_t process, pid_t thread);
    /// In the box, where the threads of its own QEMU are not in /proc: what
    /// copy_thread_times() writes there.
    void watch_copies(std::filesystem::path file);
    void sample();
    [[nodiscard]] const HostTime& time() const { return time_; }

  private:
    struct Copied {
        std::size_t index = 0;
        ThreadTime last;
    };

    /// Of the threads that time_ has.
    std::size_t watched_ = 0;
    std::vector<std::pair<std::size_t, std::string>> folders_;
    std::filesystem::path copies_;
    std::map<std::string, Copied> copied_;
    HostTime time_;
};

/// What the host says of all threads of a process, for whoever reads that file.
/// It is one, and is replaced as a whole: to the box each file that is opened
/// is some exits and an interrupt, and it reads them twice a second.
void copy_thread_times(pid_t process, const std::filesystem::path& file);

/// What is in such a file; without what cannot be read.
[[nodiscard]] ThreadTimes parse_thread_times(std::string_view text);

}  // namespace ipidefer::lab
