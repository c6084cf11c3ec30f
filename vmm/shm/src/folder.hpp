// SPDX-License-Identifier: GPL-2.0-or-later
// Folder: where segments are, and whether only those can replace files there
// who are believed anyway.
#pragma once

#include <ipidefer/shm.h>
#include <sys/stat.h>

#include <cstdio>

#include "vmm/shm/src/file.hpp"

namespace ipidefer::shm {

/// Whose files are believed: ipidefer_shm_place's, or root and this process's
/// user.
class Owners final {
  public:
    explicit Owners(const ipidefer_shm_place& place) noexcept;
    [[nodiscard]] bool contains(uid_t user) const noexcept;

  private:
    const uid_t* users_;
    std::size_t count_;
    uid_t own_[2];
};

/// The folder that a VMM of this process puts its segment into.
/// @param directory nullptr: this user's own in `parent`, which is made where
///                  there is none
/// @return invalid with `error` set
[[nodiscard]] Fd folder_for_vmm(const char* directory, const char* parent,
                                ipidefer_shm_error* error) noexcept;

/// Call `each(path, folder)` with every folder of a place.
/// @param each returns false to end
/// @return false with `error` set
template <class Each>
[[nodiscard]] bool each_folder(const ipidefer_shm_place& place,
                               const char* parent, Each each,
                               ipidefer_shm_error* error) noexcept;

// ---- what the template needs ------------------------------------------------

/// A directory's entries, one after another.
class Entries final {
  public:
    /// Reads a duplicate of the folder. Not valid: errno says why.
    explicit Entries(const Fd& folder) noexcept;
    ~Entries();
    Entries(const Entries&) = delete;
    Entries& operator=(const Entries&) = delete;
    [[nodiscard]] bool valid() const noexcept { return stream_ != nullptr; }
    /// nullptr at the end.
    [[nodiscard]] const char* next() noexcept;

  private:
    void* stream_;
};

[[nodiscard]] Fd open_folder(const char* path,
                             ipidefer_shm_error* error) noexcept;
/// May only `owners` and root replace files in it? If not, `error` says why.
[[nodiscard]] bool is_safe(const Fd& folder, const char* path,
                           const Owners& owners,
                           ipidefer_shm_error* error) noexcept;
/// A user's own folder, by its name in the parent; invalid for anything else.
[[nodiscard]] Fd open_own(const Fd& parent, const char* name,
                          uid_t& owner) noexcept;

template <class Each>
bool each_folder(const ipidefer_shm_place& place, const char* parent, Each each,
                 ipidefer_shm_error* error) noexcept
{
    const Owners owners{place};
    if (place.directory != nullptr) {
        const Fd folder = open_folder(place.directory, error);
        if (!folder.valid() || !is_safe(folder, place.directory, owners, error))
            return false;
        (void)each(place.directory, folder);
        return true;
    }
    const Fd above = open_folder(parent, error);
    if (!above.valid()) return false;
    Entries entries{above};
    while (const char* name = entries.next()) {
        uid_t owner = 0;
        const Fd folder = open_own(above, name, owner);
        if (!folder.valid() || !owners.contains(owner)) continue;
        char path[IPIDEFER_SHM_ID * 2];
        std::snprintf(path, sizeof path, "%s/%s", parent, name);
        if (!each(path, folder)) return true;
    }
    return true;
}

}  // namespace ipidefer::shm
