// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/name.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "vmm/shm/src/error.hpp"
#include "vmm/shm/src/percent.hpp"

namespace ipidefer::shm {
namespace {

/// Not one of those that stand for themselves in a name, so that it ends one.
constexpr char kTagMark = '~';
constexpr std::size_t kPrefix = sizeof IPIDEFER_SHM_PREFIX - 1;

/// What everybody can write in a shell, and no separator of paths.
bool plain(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c != '\0' && std::strchr("_.+:@-", c));
}

}  // namespace

bool has_prefix(const char* file) noexcept
{
    return std::strncmp(file, IPIDEFER_SHM_PREFIX, kPrefix) == 0;
}

bool is_tag(const char* text, char mark) noexcept
{
    if (*text != mark) return false;
    const std::size_t digits = std::strspn(text + 1, "0123456789abcdef");
    return digits == kTagDigits && text[1 + digits] == '\0';
}

bool file_of_name(const char* name, std::uint32_t tag, FileName& file,
                  ipidefer_shm_error* error) noexcept
{
    const std::size_t length = std::strlen(name);
    if (length == 0 || length >= IPIDEFER_SEGMENT_NAME) {
        fail(error, EINVAL, "a VM's name has 1 to %u bytes, '%.140s' has %zu",
             IPIDEFER_SEGMENT_NAME - 1, name, length);
        return false;
    }
    std::size_t used = kPrefix;
    std::memcpy(file, IPIDEFER_SHM_PREFIX, used);
    for (const char* c = name; *c != '\0'; ++c) {
        // Room for %XX and the tag.
        if (used + kPercentBytes + 1 + kTagDigits >= sizeof file) {
            fail(error, ENAMETOOLONG,
                 "the VM's name '%s' needs more than %zu bytes in a file name, "
                 "where most bytes that are no letters or digits take three",
                 name, sizeof file - 1 - kPrefix - 1 - kTagDigits);
            return false;
        }
        if (plain(*c)) {
            file[used++] = *c;
            continue;
        }
        write_percent(file + used, *c);
        used += kPercentBytes;
    }
    std::snprintf(file + used, sizeof file - used, "%c%0*" PRIx32, kTagMark,
                  static_cast<int>(kTagDigits), tag);
    return true;
}

bool file_of_id(const char* id, FileName& file,
                ipidefer_shm_error* error) noexcept
{
    char name[IPIDEFER_SEGMENT_NAME];
    const int length =
        std::snprintf(file, sizeof file, "%s%s", IPIDEFER_SHM_PREFIX, id);
    if (static_cast<std::size_t>(length) < sizeof file &&
        ipidefer_shm_name_of_file(file, name))
        return true;
    fail(error, EINVAL, "'%.255s' is not the ID of a segment", id);
    return false;
}

const char* id_of_file(const char* file) noexcept { return file + kPrefix; }

bool random_tag(std::uint32_t& tag) noexcept
{
    return ::getrandom(&tag, sizeof tag, 0) == sizeof tag;
}

}  // namespace ipidefer::shm

bool ipidefer_shm_name_of_file(const char* file, char* name)
{
    using namespace ipidefer::shm;
    if (!has_prefix(file)) return false;
    std::size_t used = 0;
    for (const char* c = file + kPrefix; *c != '\0'; ++c) {
        if (is_tag(c, kTagMark)) {
            name[used] = '\0';
            return used != 0;
        }
        if (used + 1 == IPIDEFER_SEGMENT_NAME) return false;
        char byte = *c;
        if (*c == '%') {
            const int read = read_percent(c);
            if (read < 0) return false;
            byte = static_cast<char>(read);
            // One file name for each name.
            if (plain(byte) || byte == '\0') return false;
            c += kPercentBytes - 1;
        } else if (!plain(byte)) {
            return false;
        }
        name[used++] = byte;
    }
    return false;
}
