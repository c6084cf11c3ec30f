// SPDX-License-Identifier: GPL-2.0-or-later
#include "experiments/guest/tracing.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "experiments/guest/files.hpp"

namespace ipidefer::lab::agent {
namespace {

const std::string kInstance = "/sys/kernel/tracing/instances/ipidefer-lab";

}  // namespace

std::vector<std::string> Tracing::start(const std::vector<Event>& events)
{
    if (::mkdir(kInstance.c_str(), 0700) != 0 && errno != EEXIST)
        return {kInstance + ": " + std::strerror(errno)};
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

}  // namespace ipidefer::lab::agent
