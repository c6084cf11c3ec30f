// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/console.hpp"

#include <array>
#include <utility>

#include "base/failure.hpp"

namespace ipidefer::lab {
namespace {

constexpr std::size_t kTailLines = 40;
/// A guest that prints without end of line fills no memory.
constexpr std::size_t kLongestLine = 4096;

struct Sign {
    std::string_view text;
    std::string_view kind;
    std::optional<Lateness> late = std::nullopt;
};

/// A guest's kernel complains of lateness so soon after the limit.
constexpr std::chrono::seconds kComplains{2};

// What Linux 6.12 has for limits: a remote tick is due each second and may be
// 3 s late (sched_tick_remote), a soft lockup takes twice watchdog_thresh, and
// an RCU stall CONFIG_RCU_CPU_STALL_TIMEOUT.
constexpr Lateness kRemoteTick{std::chrono::seconds{3}, HostTime::Share::kHalf};
constexpr Lateness kSoftLockup{std::chrono::seconds{20},
                               HostTime::Share::kNearlyAll};
constexpr Lateness kRcuStall{std::chrono::seconds{21},
                             HostTime::Share::kNearlyAll};

// Before the more general ones: the first that matches names the trouble.
constexpr std::array kSigns{
    Sign{"Kernel panic - not syncing", "a panic"},
    Sign{"BUG: soft lockup", "a soft lockup", kSoftLockup},
    Sign{"hard LOCKUP", "a hard lockup"},
    Sign{"BUG: ", "a bug"},
    Sign{"Oops: ", "an oops"},
    Sign{"general protection fault", "an oops"},
    Sign{"kernel BUG at ", "a bug"},
    Sign{"WARNING: CPU: ", "a warning"},
    Sign{"WARNING: suspicious RCU usage", "a warning"},
    Sign{"WARNING: possible ", "a warning"},
    Sign{"detected stalls on CPUs", "an RCU stall", kRcuStall},
    Sign{"self-detected stall on CPU", "an RCU stall", kRcuStall},
    Sign{"detected expedited stalls", "an RCU stall", kRcuStall},
    Sign{"rcu_preempt kthread starved", "an RCU stall", kRcuStall},
    Sign{"blocked for more than ", "a hung task"},
    Sign{"Unable to handle kernel ", "an oops"},
    Sign{"lab-agent: ", "the end of the lab's agent"},
};

}  // namespace

std::optional<Trouble> defect_in(std::string_view line)
{
    if (line.find("WARNING: CPU: ") != std::string_view::npos &&
        line.find(" sched_tick_remote+") != std::string_view::npos)
        return Trouble{"a late remote tick", kRemoteTick};
    for (const auto& sign : kSigns)
        if (line.find(sign.text) != std::string_view::npos)
            return Trouble{sign.kind, sign.late};
    if (const auto at = line.find("ipi_defer: ");
        at != std::string_view::npos &&
        line.find("has not answered", at) != std::string_view::npos)
        return Trouble{"a typed IPI without an answer", std::nullopt};
    return std::nullopt;
}

std::optional<Starvation> excuse(const Lateness& late, const HostTime& time,
                                 HostTime::Clock::time_point complained,
                                 bool emulated)
{
    auto found =
        time.starvation(complained, late.limit + kComplains, late.share);
    if (!found && emulated) found = Starvation{"the box", late.limit};
    return found;
}

Console::Console(const std::filesystem::path& log) : log_{log, std::ios::binary}
{
    if (!log_) throw Failure{Exit::kCannotRun, "cannot write " + log.string()};
}

void Console::feed(std::string_view bytes)
{
    log_ << bytes << std::flush;
    for (const char c : bytes)
        if (c == '\n' || line_.size() == kLongestLine)
            end_line();
        else if (c != '\r')
            line_ += c;
}

void Console::end_line()
{
    if (!defect_ || late_)
        if (const auto trouble = defect_in(line_);
            trouble && (!defect_ || !trouble->late)) {
            defect_ = std::string{trouble->kind} + ": " + line_;
            late_ = trouble->late;
        }
    last_.push_back(std::exchange(line_, {}));
    if (last_.size() > kTailLines) last_.pop_front();
}

std::string Console::tail() const
{
    std::string text;
    for (const auto& line : last_) text += line + '\n';
    if (!line_.empty()) text += line_ + '\n';
    return text;
}

}  // namespace ipidefer::lab
