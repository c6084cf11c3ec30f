// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/blame/vcpu_threads.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::blame {
namespace {

namespace fs = std::filesystem;

std::string line_of(const fs::path& file)
{
    std::string line;
    std::getline(std::ifstream{file}, line);
    return line;
}

/// The number in "vcpu12" or "CPU 12/KVM".
std::optional<unsigned> between(std::string_view text, std::string_view begin,
                                std::string_view end)
{
    if (!text.starts_with(begin) || !text.ends_with(end) ||
        text.size() <= begin.size() + end.size())
        return std::nullopt;
    text.remove_prefix(begin.size());
    text.remove_suffix(end.size());
    return number_of<unsigned>(text);
}

std::map<unsigned, int> by_debugfs(int pid, const fs::path& debugfs)
{
    std::map<unsigned, int> threads;
    std::error_code error;
    // Of each VM that it has: PID-FD.
    for (const auto& vm : fs::directory_iterator{debugfs, error}) {
        if (!vm.path().filename().string().starts_with(std::to_string(pid) +
                                                       "-"))
            continue;
        for (const auto& entry : fs::directory_iterator{vm.path(), error}) {
            const auto vcpu =
                between(entry.path().filename().string(), "vcpu", "");
            const auto thread =
                number_of<int>(trimmed(line_of(entry.path() / "pid")));
            if (vcpu && thread) threads[*vcpu] = *thread;
        }
    }
    return threads;
}

std::map<unsigned, int> by_name(const fs::path& tasks)
{
    std::map<unsigned, int> threads;
    std::error_code error;
    for (const auto& task : fs::directory_iterator{tasks, error}) {
        const auto vcpu =
            between(trimmed(line_of(task.path() / "comm")), "CPU ", "/KVM");
        const auto thread = number_of<int>(task.path().filename().string());
        if (vcpu && thread) threads[*vcpu] = *thread;
    }
    return threads;
}

}  // namespace

std::vector<Thread> vcpu_threads(int pid, const fs::path& debugfs,
                                 const fs::path& proc)
{
    const fs::path process = proc / std::to_string(pid);
    if (std::error_code error; !fs::exists(process / "task", error))
        throw Failure{Exit::kCannotRun,
                      "there is no process " + std::to_string(pid)};
    auto found = by_debugfs(pid, debugfs);
    if (found.empty()) found = by_name(process / "task");
    if (found.empty())
        throw Failure{Exit::kCannotRun,
                      "process " + std::to_string(pid) +
                          " runs no vCPU under KVM, or does not name its "
                          "threads (QEMU: -name debug-threads=on)"};
    std::vector<Thread> threads;
    threads.reserve(found.size());
    for (const auto& [vcpu, thread] : found)
        threads.push_back({thread, vcpu, vcpu});
    return threads;
}

}  // namespace ipidefer::blame
