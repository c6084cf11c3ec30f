// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/check/host_cpus.hpp"

#include <fstream>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::check {
namespace {

namespace fs = std::filesystem;

/// A list of CPUs; empty when the file is missing, empty or says "(null)".
CpuSet cpus_in(const fs::path& file)
{
    const auto text = first_line(file);
    if (!text || text->empty() || text->starts_with('(')) return {};
    try {
        return parse_kernel_cpulist(*text, kMostCpus);
    } catch (const Failure&) {
        return {};
    }
}

}  // namespace

std::optional<std::string> first_line(const fs::path& file)
{
    std::ifstream in{file};
    std::string line;
    if (!in) return std::nullopt;
    std::getline(in, line);
    return std::string{trimmed(line)};
}

CpuSet HostCpus::siblings_of(const CpuSet& cpus) const
{
    CpuSet others;
    for (const unsigned cpu : cpus)
        if (const auto core = siblings.find(cpu); core != siblings.end())
            for (const unsigned sibling : core->second)
                if (!cpus.contains(sibling)) others.insert(sibling);
    return others;
}

CpuSet HostCpus::without_topology(const CpuSet& cpus) const
{
    CpuSet unknown;
    for (const unsigned cpu : cpus)
        // A CPU is a sibling of itself where anything is known.
        if (const auto core = siblings.find(cpu);
            core == siblings.end() || core->second.empty())
            unknown.insert(cpu);
    return unknown;
}

HostCpus read_host_cpus(const fs::path& root)
{
    const fs::path folder = root / "sys/devices/system/cpu";
    HostCpus host{cpus_in(folder / "online"),
                  cpus_in(folder / "isolated"),
                  cpus_in(folder / "nohz_full"),
                  {}};
    CpuSet all = host.online;
    all.insert(host.isolated.begin(), host.isolated.end());
    for (const unsigned cpu : all)
        host.siblings[cpu] = cpus_in(folder / ("cpu" + std::to_string(cpu)) /
                                     "topology/thread_siblings_list");
    return host;
}

}  // namespace ipidefer::check
