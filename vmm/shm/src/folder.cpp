// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/folder.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstring>

#include "vmm/shm/src/error.hpp"
#include "vmm/shm/src/name.hpp"

namespace ipidefer::shm {
namespace {

constexpr mode_t kFolderMode = 0755;
constexpr std::size_t kPrefix = sizeof IPIDEFER_SHM_FOLDER - 1;
/// Others that may put something in the way of a folder while we make one.
constexpr int kTries = 16;

using FolderName = char[64];

/// "ipidefer-1000", or "ipidefer-1000.0123abcd".
bool read_folder_name(const char* name, uid_t& user) noexcept
{
    if (std::strncmp(name, IPIDEFER_SHM_FOLDER, kPrefix) != 0) return false;
    const char* const digits = name + kPrefix;
    const char* const end = digits + std::strlen(digits);
    const auto [at, error] = std::from_chars(digits, end, user);
    if (error != std::errc{} || at == digits ||
        (at - digits > 1 && *digits == '0'))
        return false;
    if (at == end) return true;
    return is_tag(at, '.');
}

/// A folder that nobody but this user, and root, can put files into, or take
/// files from.
bool is_own(const struct stat& folder, uid_t user) noexcept
{
    return S_ISDIR(folder.st_mode) && folder.st_uid == user &&
           (folder.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// The one that this user has already; invalid when there is none.
Fd find_own(const Fd& parent, uid_t user) noexcept
{
    Entries entries{parent};
    while (const char* name = entries.next()) {
        uid_t owner = 0;
        Fd folder = open_own(parent, name, owner);
        if (folder.valid() && owner == user) return folder;
    }
    return Fd{};
}

Fd make_own(const Fd& parent, const char* path, uid_t user,
            ipidefer_shm_error* error) noexcept
{
    FolderName name;
    std::snprintf(name, sizeof name, IPIDEFER_SHM_FOLDER "%" PRIu32, user);
    const std::size_t plain = std::strlen(name);
    for (int i = 0; i < kTries; ++i) {
        if (::mkdirat(parent.get(), name, kFolderMode) == 0) {
            const Fd made{
                ::openat(parent.get(), name,
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
            // Whatever the umask is.
            if (made.valid()) (void)::fchmod(made.get(), kFolderMode);
        } else if (errno != EEXIST) {
            fail_errno(error, "create the folder of segments in", path);
            return Fd{};
        }
        uid_t owner = 0;
        // Ours, or that of another VMM of ours, which was faster.
        Fd folder = open_own(parent, name, owner);
        if (folder.valid() && owner == user) return folder;
        // Somebody else's is in the way of the plain name.
        std::uint32_t tag = 0;
        if (!random_tag(tag)) {
            fail_errno(error, "get a random number for a folder in", path);
            return Fd{};
        }
        std::snprintf(name + plain, sizeof name - plain, ".%08" PRIx32, tag);
    }
    fail(error, EEXIST, "others keep taking the names of folders in '%s'",
         path);
    return Fd{};
}

}  // namespace

Owners::Owners(const ipidefer_shm_place& place) noexcept
    : users_{place.owners}, count_{place.owner_count}, own_{0, ::geteuid()}
{
    if (users_ != nullptr) return;
    users_ = own_;
    count_ = 2;
}

bool Owners::contains(uid_t user) const noexcept
{
    for (std::size_t i = 0; i < count_; ++i)
        if (users_[i] == user) return true;
    return false;
}

Entries::Entries(const Fd& folder) noexcept
    // One of its own: a duplicate would share the place where it is read.
    : stream_{::fdopendir(
          ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))}
{
}

Entries::~Entries()
{
    if (stream_ != nullptr) ::closedir(static_cast<DIR*>(stream_));
}

const char* Entries::next() noexcept
{
    if (stream_ == nullptr) return nullptr;
    const dirent* const entry = ::readdir(static_cast<DIR*>(stream_));
    return entry == nullptr ? nullptr : entry->d_name;
}

Fd open_folder(const char* path, ipidefer_shm_error* error) noexcept
{
    Fd folder{::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder.valid()) fail_errno(error, "open the folder", path);
    return folder;
}

bool is_safe(const Fd& folder, const char* path, const Owners& owners,
             ipidefer_shm_error* error) noexcept
{
    struct stat status {};
    if (::fstat(folder.get(), &status) != 0) {
        fail_errno(error, "look at the folder", path);
        return false;
    }
    if (status.st_uid != 0 && !owners.contains(status.st_uid)) {
        fail(error, EPERM,
             "the folder '%s' is user %" PRIu32
             "'s, who could replace the segments in it",
             path, status.st_uid);
        return false;
    }
    // In a sticky folder only a file's owner may, and whose it is.
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
        (status.st_mode & S_ISVTX) == 0) {
        fail(error, EPERM,
             "the folder '%s' has mode %04o: others could replace the segments "
             "in it; make it sticky, or theirs no longer (chmod go-w)",
             path, status.st_mode & 07777u);
        return false;
    }
    return true;
}

Fd open_own(const Fd& parent, const char* name, uid_t& owner) noexcept
{
    if (!read_folder_name(name, owner)) return Fd{};
    Fd folder{::openat(parent.get(), name,
                       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
    struct stat status {};
    if (!folder.valid() || ::fstat(folder.get(), &status) != 0 ||
        !is_own(status, owner))
        return Fd{};
    return folder;
}

Fd folder_for_vmm(const char* directory, const char* parent,
                  ipidefer_shm_error* error) noexcept
{
    if (directory != nullptr) {
        Fd folder = open_folder(directory, error);
        if (!folder.valid() ||
            !is_safe(folder, directory, Owners{ipidefer_shm_place{}}, error))
            return Fd{};
        return folder;
    }
    const Fd above = open_folder(parent, error);
    if (!above.valid()) return Fd{};
    const uid_t user = ::geteuid();
    Fd folder = find_own(above, user);
    return folder.valid() ? std::move(folder)
                          : make_own(above, parent, user, error);
}

}  // namespace ipidefer::shm
