// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/tracing.hpp"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "experiments/guest/files.hpp"

namespace ipidefer::lab::agent {
namespace {

const std::string kInstance = "/sys/kernel/tracing/instances/ipidefer-lab";
const std::string kRecord = "/sys/kernel/tracing/instances/ipidefer-lab-record";

std::string make_instance(const std::string& folder)
{
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return folder + ": " + std::strerror(errno);
    return {};
}

/// As tracing_cpumask wants it: 32 bits in a group, the highest first.
std::string mask_of(const std::vector<unsigned>& cpus)
{
    constexpr unsigned kBits = 32;
    std::vector<std::uint32_t> groups(1);
    for (const unsigned cpu : cpus) {
        if (cpu / kBits >= groups.size()) groups.resize(cpu / kBits + 1);
        groups[cpu / kBits] |= std::uint32_t{1} << cpu % kBits;
    }
    std::string text;
    for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
        char digits[16];
        std::snprintf(digits, sizeof digits, "%s%08x", text.empty() ? "" : ",",
                      static_cast<unsigned>(*group));
        text += digits;
    }
    return text;
}

}  // namespace

std::vector<std::string> Tracing::start(const std::vector<Event>& events)
{
    if (auto why = make_instance(kInstance); !why.empty())
        return {std::move(why)};
    std::vector<std::string> missing;
    for (const auto& event : events) {
        const std::string folder = kInstance + "/events/" + event.event;
        if (const auto why = write_file(folder + "/trigger", event.trigger);
            !why.empty())
            missing.push_back("counting " + event.event + ": " + why);
        else
            files_[event.name] = folder + "/hist";
    }
    return missing;
}

std::map<std::string, std::string> Tracing::read() const
{
    std::map<std::string, std::string> hists;
    for (const auto& [name, file] : files_)
        hists[name] = read_file(file).value_or("");
    return hists;
}

std::vector<std::string> Record::start(const std::vector<unsigned>& cpus,
                                       const std::vector<std::string>& patterns)
{
    if (auto why = make_instance(kRecord); !why.empty())
        return {std::move(why)};
    for (const auto& [file, text] :
         {std::pair<std::string, std::string>{"trace_clock", "x86-tsc"},
          {"tracing_cpumask", mask_of(cpus)}})
        if (const auto why = write_file(kRecord + '/' + file, text);
            !why.empty())
            return {"recording events: " + file + ": " + why};
    cpus_ = cpus;
    std::vector<std::string> missing;
    for (const auto& pattern : patterns) {
        glob_t found{};
        const std::string files = kRecord + "/events/" + pattern + "/enable";
        if (::glob(files.c_str(), 0, nullptr, &found) != 0)
            missing.push_back("recording " + pattern + ": not there");
        for (std::size_t i = 0; i < found.gl_pathc; ++i)
            if (const auto why = write_file(found.gl_pathv[i], "1");
                !why.empty())
                missing.push_back("recording " + pattern + ": " + why);
        ::globfree(&found);
    }
    return missing;
}

void Record::clear() const
{
    if (cpus_.empty()) return;
    const int fd =
        ::open((kRecord + "/trace").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd >= 0) ::close(fd);
}

std::map<unsigned, Record::Text> Record::read(std::size_t most) const
{
    std::map<unsigned, Text> texts;
    for (const unsigned cpu : cpus_) {
        const std::string folder =
            kRecord + "/per_cpu/cpu" + std::to_string(cpu);
        std::string trace = read_file(folder + "/trace").value_or("");
        if (trace.size() > most) trace.resize(trace.rfind('\n', most - 1) + 1);
        texts[cpu] = {std::move(trace),
                      read_file(folder + "/stats").value_or("")};
    }
    return texts;
}

}  // namespace ipidefer::lab::agent
