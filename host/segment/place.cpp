// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/segment/place.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::segment {
namespace {

/// Debian's: who QEMU is when the system's libvirt starts it.
constexpr char kLibvirtUser[] = "libvirt-qemu";

std::optional<uid_t> user_named(const std::string& name)
{
    const passwd* const entry = ::getpwnam(name.c_str());
    if (entry == nullptr) return std::nullopt;
    return entry->pw_uid;
}

void add(std::vector<uid_t>& users, uid_t user)
{
    if (std::ranges::find(users, user) == users.end()) users.push_back(user);
}

}  // namespace

std::vector<uid_t> default_owners()
{
    std::vector<uid_t> owners{0};
    add(owners, ::geteuid());
    if (const auto user = user_named(kLibvirtUser)) add(owners, *user);
    return owners;
}

std::vector<uid_t> users_of(const std::vector<std::string>& users)
{
    std::vector<uid_t> numbers;
    for (const std::string& user : users) {
        auto number = number_of<uid_t>(user);
        if (!number) number = user_named(user);
        // The last one means "none" to the kernel.
        if (!number || *number == static_cast<uid_t>(-1))
            throw Failure{Exit::kCannotRun, "'" + printable(user) +
                                                "' is neither a user nor the "
                                                "number of one"};
        add(numbers, *number);
    }
    return numbers;
}

std::string user_name(uid_t user)
{
    const passwd* const entry = ::getpwuid(user);
    return entry == nullptr ? std::to_string(user) : entry->pw_name;
}

PlaceView::PlaceView(const Place& place)
    : directory_{place.directory},
      owners_{place.owners.empty() ? default_owners() : place.owners}
{
    if (!directory_.empty()) view_.directory = directory_.c_str();
    view_.owners = owners_.data();
    view_.owner_count = owners_.size();
}

std::vector<std::filesystem::path> folders_of(const Place& place)
{
    std::vector<std::filesystem::path> folders;
    ipidefer_shm_error error{};
    if (ipidefer_shm_folders(
            PlaceView{place}.get(),
            [](void* to, const char* path) {
                static_cast<std::vector<std::filesystem::path>*>(to)
                    ->emplace_back(path);
            },
            &folders, &error) != 0)
        throw Failure{Exit::kCannotRun, printable(error.text)};
    return folders;
}

}  // namespace ipidefer::segment
