// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/open.hpp"

#include <algorithm>
#include <tuple>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::segment {
namespace {

Failure no_vm(const std::string& vm)
{
    return Failure{Exit::kCannotRun, "there is no VM '" + printable(vm) + "'"};
}

}  // namespace

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

std::string shown_name(const std::string& name)
{
    char shown[IPIDEFER_SHM_SHOWN];
    return ipidefer_shm_show_name(name.c_str(), shown);
}

bool Found::is(const std::string& vm) const
{
    return id == vm || name == vm || shown_name(name) == vm;
}

Survey survey(const Place& place)
{
    Survey survey;
    ipidefer_shm_error error{};
    if (ipidefer_shm_list(
            PlaceView{place}.get(),
            [](void* to, const ipidefer_shm_entry* entry) {
                static_cast<std::vector<Found>*>(to)->push_back(
                    {entry->id, entry->name, shown_name(entry->name),
                     entry->owner, entry->published_ns});
            },
            &survey.found, &survey.left_out, &error) != 0)
        throw Failure{Exit::kCannotRun, printable(error.text)};
    std::ranges::sort(survey.found, {}, [](const Found& one) {
        return std::tie(one.name, one.published_ns, one.id);
    });
    for (std::size_t i = 1; i < survey.found.size(); ++i)
        if (survey.found[i].name == survey.found[i - 1].name)
            survey.found[i].label = survey.found[i].id;
    return survey;
}

Found find(const Place& place, const std::string& vm)
{
    std::vector<Found> named;
    for (Found& one : survey(place).found) {
        if (one.id == vm) return std::move(one);
        if (one.is(vm)) named.push_back(std::move(one));
    }
    if (named.empty()) throw no_vm(vm);
    if (named.size() == 1) return std::move(named.front());
    std::vector<std::string> running;
    Found found = named.front();
    for (Found& one : named) try {
            const OpenVm open{place, one};
            if (open.life() != Life::kRuns) continue;
            running.push_back(
                one.id + " (user " + user_name(one.owner) + ", pid " +
                std::to_string(open.segment().identity().pid) + ")");
            found = std::move(one);
        } catch (const Failure&) {
            // It is no VM's, or ended meanwhile.
        }
    if (running.size() <= 1) return found;
    std::string why = "there are " + std::to_string(running.size()) + " VMs '" +
                      printable(vm) + "', give the ID of one:";
    for (const std::string& one : running) why += ' ' + one;
    throw Failure{Exit::kCannotRun, why};
}

void remove_stale(const Place& place, const Found& segment)
{
    ipidefer_shm_error error{};
    if (ipidefer_shm_remove_stale(PlaceView{place}.get(), segment.id.c_str(),
                                  &error) != 0)
        throw Failure{Exit::kCannotRun, printable(error.text)};
}

void remove_stale_ones(const Place& place, const std::string& name) noexcept
try {
    for (const Found& one : survey(place).found)
        if (one.name == name)
            // Those that run, or that somebody else removed, stay.
            (void)ipidefer_shm_remove_stale(PlaceView{place}.get(),
                                            one.id.c_str(), nullptr);
} catch (const Failure&) {
    // There is no such folder.
}

OpenVm::OpenVm(const Place& place, Found found, bool writable)
    : found_{std::move(found)},
      writable_{writable},
      map_{open(place, found_, writable)},
      segment_{view(found_, map_)}
{
}

OpenVm::Map OpenVm::open(const Place& place, const Found& found, bool writable)
{
    ipidefer_shm_error error{};
    if (ipidefer_shm_guard(&error) != 0)
        throw Failure{Exit::kCannotRun, error.text};
    Map map{ipidefer_shm_open(PlaceView{place}.get(), found.id.c_str(),
                              writable, &error)};
    if (map == nullptr) throw Failure{Exit::kCannotRun, printable(error.text)};
    return map;
}

Segment OpenVm::view(const Found& found, const Map& map)
{
    try {
        return Segment{ipidefer_shm_memory(map.get()),
                       ipidefer_shm_bytes(map.get())};
    } catch (const Failure& failure) {
        throw Failure{failure.exit(),
                      "VM '" + found.label + "': " + failure.what()};
    }
}

Life OpenVm::life() const
{
    if (segment_.state() == IPIDEFER_SEGMENT_ENDED) return Life::kEnded;
    switch (ipidefer_shm_life_of(map_.get())) {
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
        throw Failure{Exit::kCannotRun,
                      "VM '" + label() + "': its segment was truncated"};
}

ipidefer_segment_policy& OpenVm::policy() noexcept
{
    // The mapping is writable; the view of it is const for everybody else.
    return const_cast<ipidefer_segment_policy&>(segment_.policy());
}

}  // namespace ipidefer::segment
