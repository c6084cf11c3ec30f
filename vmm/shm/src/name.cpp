// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/name.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "vmm/shm/src/error.hpp"

namespace ipidefer::shm {
namespace {

constexpr char kDigits[] = "0123456789ABCDEF";
/// Not one of those that stand for themselves in a name, so that it ends one.
constexpr char kTagMark = '~';
constexpr std::size_t kTagDigits = 8;
constexpr std::size_t kPrefix = sizeof IPIDEFER_SHM_PREFIX - 1;

/// What everybody can write in a shell, and no separator of paths.
bool plain(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c != '\0' && std::strchr("_.+:@-", c));
}

int digit(char c) noexcept
{
    const char* at = c == '\0' ? nullptr : std::strchr(kDigits, c);
    return at == nullptr ? -1 : static_cast<int>(at - kDigits);
}

/// "~" and the digits of a tag, and nothing behind them.
bool is_tag(const char* text) noexcept
{
    if (*text != kTagMark) return false;
    const std::size_t digits = std::strspn(text + 1, "0123456789abcdef");
    return digits == kTagDigits && text[1 + digits] == '\0';
}

}  // namespace

bool file_of_name(const char* name, std::uint32_t tag, FileName& file,
                  ipidefer_shm_error* error) noexcept
{
    const std::size_t length = std::strlen(name);
    if (length == 0 || length >= IPIDEFER_SEGMENT_NAME) {
        fail(error, EINVAL, "a VM's name has 1 to %u bytes, '%.140s' has %zu",
             IPIDEFER_SEGMENT_NAME - 1, name, length);
        return false;
    }
    std::size_t used = std::strlen(IPIDEFER_SHM_PREFIX);
    std::memcpy(file, IPIDEFER_SHM_PREFIX, used);
    for (const char* c = name; *c != '\0'; ++c) {
        // Room for %XX and the tag.
        if (used + 3 + 1 + kTagDigits >= sizeof file) {
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
        const auto byte = static_cast<unsigned char>(*c);
        file[used++] = '%';
        file[used++] = kDigits[byte >> 4];
        file[used++] = kDigits[byte & 15];
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
    if (std::strncmp(file, IPIDEFER_SHM_PREFIX, kPrefix) != 0) return false;
    std::size_t used = 0;
    for (const char* c = file + kPrefix; *c != '\0'; ++c) {
        if (is_tag(c)) {
            name[used] = '\0';
            return used != 0;
        }
        if (used + 1 == IPIDEFER_SEGMENT_NAME) return false;
        char byte = *c;
        if (*c == '%') {
            const int high = digit(c[1]);
            const int low = high < 0 ? -1 : digit(c[2]);
            if (low < 0) return false;
            byte = static_cast<char>(high << 4 | low);
            // One file name for each name.
            if (plain(byte) || byte == '\0') return false;
            c += 2;
        } else if (!plain(byte)) {
            return false;
        }
        name[used++] = byte;
    }
    return false;
}
