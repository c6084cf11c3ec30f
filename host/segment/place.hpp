// SPDX-License-Identifier: GPL-2.0-or-later
// Place: where the segments are that a tool looks at, and whose it believes.
#pragma once

#include <ipidefer/shm.h>
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace ipidefer::segment {

struct Place {
    /// The owners' folders, for the default owners.
    Place() = default;
    /// A given folder; empty is no folder, but the owners'.
    Place(std::filesystem::path given)  // NOLINT: a folder is a place
        : directory{std::move(given)}
    {
    }

    std::filesystem::path directory;
    std::vector<uid_t> owners;  // empty: default_owners()
};

/// Root, this process's user, and the user that the system's libvirt runs VMs
/// as, where there is one.
[[nodiscard]] std::vector<uid_t> default_owners();

/// Users by name or number. Throws Failure, naming the one that there is not.
[[nodiscard]] std::vector<uid_t> users_of(
    const std::vector<std::string>& users);

/// For a person: the user's name, or where there is none, the number.
[[nodiscard]] std::string user_name(uid_t user);

/// A Place for C; valid as long as this is.
class PlaceView final {
  public:
    explicit PlaceView(const Place& place);
    PlaceView(const PlaceView&) = delete;
    PlaceView& operator=(const PlaceView&) = delete;
    [[nodiscard]] const ipidefer_shm_place* get() const noexcept
    {
        return &view_;
    }

  private:
    std::filesystem::path directory_;
    std::vector<uid_t> owners_;
    ipidefer_shm_place view_{};
};

/// Folders that are looked into now; those of users that have none yet are not
/// among them. Throws Failure.
[[nodiscard]] std::vector<std::filesystem::path> folders_of(const Place& place);

}  // namespace ipidefer::segment
