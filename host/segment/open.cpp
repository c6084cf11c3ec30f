// SPDX-License-Identifier: GPL-2.0-or-later
#include "open.hpp"

#include <algorithm>

#include "failure.hpp"
#include "text.hpp"

namespace ipidefer::segment {

std::string_view to_string(Life life) noexcept
{
    switch (life) {
        case Life::kRuns:
            return "running";
        case Life::kEnded:
            return "ended";
        case Life::kGone:
            return "stale";
        case Life::kUnknown:
            return "unknown";
    }
    return "?";
}

std::vector<std::string> vm_names(const std::filesystem::path& folder)
{
    std::vector<std::string> names;
    ipidefer_shm_error error{};
    if (ipidefer_shm_list(
            folder.c_str(),
            [](void* to, const char* name) {
                static_cast<std::vector<std::string>*>(to)->emplace_back(name);
            },
            &names, &error) != 0)
        throw Failure{Exit::kCannotRun, error.text};
    std::ranges::sort(names);
    return names;
}

OpenVm::OpenVm(const std::filesystem::path& folder, std::string name,
               bool writable)
    : name_{std::move(name)},
      map_{open(folder, name_, writable)},
      segment_{view(name_, map_)}
{
}

OpenVm::Map OpenVm::open(const std::filesystem::path& folder,
                         const std::string& name, bool writable)
{
    ipidefer_shm_error error{};
    if (ipidefer_shm_guard(&error) != 0)
        throw Failure{Exit::kCannotRun, error.text};
    Map map{ipidefer_shm_open(folder.c_str(), name.c_str(), writable, &error)};
    if (map == nullptr) throw Failure{Exit::kCannotRun, printable(error.text)};
    return map;
}

Segment OpenVm::view(const std::string& name, const Map& map)
{
    try {
        return Segment{ipidefer_shm_memory(map.get()),
                       ipidefer_shm_bytes(map.get())};
    } catch (const Failure& failure) {
        throw Failure{failure.exit(),
                      "VM '" + printable(name) + "': " + failure.what()};
    }
}

Life OpenVm::life() const
{
    if (segment_.state() == IPIDEFER_SEGMENT_ENDED) return Life::kEnded;
    const Identity who = segment_.identity();
    switch (ipidefer_shm_owner(who.pid, who.pid_start, who.pid_ns)) {
        case IPIDEFER_SHM_RUNS:
            return Life::kRuns;
        case IPIDEFER_SHM_GONE:
            return Life::kGone;
        case IPIDEFER_SHM_UNKNOWN:
            break;
    }
    return Life::kUnknown;
}

void OpenVm::check() const
{
    if (ipidefer_shm_truncated(map_.get()))
        throw Failure{Exit::kCannotRun, "VM '" + printable(name_) +
                                            "': its segment was truncated"};
}

ipidefer_segment_policy& OpenVm::policy() noexcept
{
    // The mapping is writable; the view of it is const for everybody else.
    return const_cast<ipidefer_segment_policy&>(segment_.policy());
}

}  // namespace ipidefer::segment
