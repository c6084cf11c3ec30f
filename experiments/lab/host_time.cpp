// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/lab/host_time.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>

#include "base/failure.hpp"
#include "base/file.hpp"
#include "base/text.hpp"

namespace ipidefer::lab {
namespace {

namespace fs = std::filesystem;
using std::chrono::nanoseconds;

/// Longer than any question that is asked of it, but for a long --timeout,
/// whose last part decides as well.
constexpr std::chrono::minutes kKept{10};
constexpr int kNearlyAllOf = 20;

/// Nothing of a thread that is gone.
std::optional<ThreadTime> read_thread_time(const std::string& folder)
{
    try {
        return parse_thread_time(read_whole(folder + "/schedstat"),
                                 read_whole(folder + "/stat"));
    } catch (const Failure&) {
        return std::nullopt;
    }
}

/// Nothing where there is no such file: on a machine that is no box.
ThreadTimes read_copies(const fs::path& file)
{
    try {
        return parse_thread_times(read_whole(file));
    } catch (const Failure&) {
        return {};
    }
}

}  // namespace

std::optional<ThreadTime> parse_thread_time(std::string_view schedstat,
                                            std::string_view stat)
{
    const auto words = words_of(schedstat);
    // The name, in parentheses, may hold anything, and so may parentheses.
    const auto name_end = stat.rfind(") ");
    if (words.size() < 2 || name_end == std::string_view::npos ||
        name_end + 2 >= stat.size())
        return std::nullopt;
    const auto ran = number_of<std::int64_t>(words[0]);
    const auto waited = number_of<std::int64_t>(words[1]);
    if (!ran || !waited) return std::nullopt;
    const char state = stat[name_end + 2];
    return ThreadTime{nanoseconds{*ran}, nanoseconds{*waited},
                      state == 'T' || state == 't', state == 'R'};
}

void HostTime::update(std::size_t index, Clock::time_point now,
                      const ThreadTime& time)
{
    History& history = histories_[index];
    const nanoseconds took = now - history.last;
    const nanoseconds ran =
        std::clamp(time.ran - history.time.ran, nanoseconds{0}, took);
    nanoseconds lost =
        std::max(time.waited - history.time.waited, nanoseconds{0});
    // A wait is only counted when it ends, and a stop is not counted at all.
    if (time.stopped || (time.ready && ran == nanoseconds{0})) lost = took;
    lost = std::min(lost, took - ran);
    history.last = now;
    history.time = time;
    history.stretches.push_back({now, ran, lost});
    while (history.stretches.front().end < now - kKept)
        history.stretches.pop_front();
}

std::optional<Starvation> HostTime::starvation(Clock::time_point end,
                                               nanoseconds span,
                                               Share share) const
{
    std::optional<Starvation> worst;
    for (const auto& history : histories_) {
        nanoseconds ran{};
        nanoseconds lost{};
        for (const auto& stretch : history.stretches) {
            if (stretch.end <= end - span || stretch.end > end) continue;
            ran += stretch.ran;
            lost += stretch.lost;
        }
        if (lost < span / 2) continue;
        if (share == Share::kNearlyAll && ran > span / kNearlyAllOf) continue;
        const auto rounded =
            std::chrono::duration_cast<std::chrono::milliseconds>(lost);
        if (!worst || rounded > worst->lost)
            worst = Starvation{history.thread, rounded};
    }
    return worst;
}

void ProcessTime::watch(std::string name, pid_t process, pid_t thread)
{
    std::string folder =
        "/proc/" + std::to_string(process) + "/task/" + std::to_string(thread);
    if (const auto time = read_thread_time(folder)) {
        time_.add(std::move(name), HostTime::Clock::now(), *time);
        folders_.emplace_back(watched_++, std::move(folder));
    }
}

void ProcessTime::watch_copies(fs::path file)
{
    copies_ = std::move(file);
    for (const auto& [thread, time] : read_copies(copies_)) {
        time_.add("the box's thread " + thread, HostTime::Clock::now(), time);
        copied_[thread] = {watched_++, time};
    }
}

void ProcessTime::sample()
{
    for (const auto& [index, folder] : folders_)
        if (const auto time = read_thread_time(folder))
            time_.update(index, HostTime::Clock::now(), *time);
    if (copied_.empty()) return;
    for (const auto& [thread, time] : read_copies(copies_)) {
        const auto copied = copied_.find(thread);
        // A copy that is still the same says nothing of the time since.
        if (copied == copied_.end() || time == copied->second.last) continue;
        copied->second.last = time;
        time_.update(copied->second.index, HostTime::Clock::now(), time);
    }
}

void copy_thread_times(pid_t process, const fs::path& file)
{
    std::string text;
    std::error_code error;
    for (const auto& task : fs::directory_iterator{
             "/proc/" + std::to_string(process) + "/task", error}) {
        try {
            // The kernel ends each with the end of a line, and has no other.
            const std::string schedstat = read_whole(task.path() / "schedstat");
            text += task.path().filename().string() + '\n' + schedstat +
                    read_whole(task.path() / "stat");
        } catch (const Failure&) {
            // The thread has ended.
        }
    }
    fs::path whole = file;
    whole += ".new";
    std::ofstream{whole} << text;
    fs::rename(whole, file, error);
}

ThreadTimes parse_thread_times(std::string_view text)
{
    constexpr std::size_t kLines = 3;
    ThreadTimes times;
    const auto lines = lines_of(text);
    for (std::size_t i = 0; i + kLines <= lines.size(); i += kLines)
        if (const auto time = parse_thread_time(lines[i + 1], lines[i + 2]))
            times[std::string{lines[i]}] = *time;
    return times;
}

}  // namespace ipidefer::lab
