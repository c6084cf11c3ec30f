// SPDX-License-Identifier: GPL-2.0-or-later
#include "name.hpp"

#include <cerrno>
#include <cstring>

#include "error.hpp"

namespace ipidefer::shm {
namespace {

constexpr char kDigits[] = "0123456789ABCDEF";

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

}  // namespace

bool file_of_name(const char* name, FileName& file,
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
        if (used + 3 >= sizeof file) {
            fail(error, ENAMETOOLONG,
                 "the VM's name '%s' is too long for a file", name);
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
    file[used] = '\0';
    return true;
}

}  // namespace ipidefer::shm

bool ipidefer_shm_name_of_file(const char* file, char* name)
{
    using namespace ipidefer::shm;
    constexpr std::size_t kPrefix = sizeof IPIDEFER_SHM_PREFIX - 1;
    if (std::strncmp(file, IPIDEFER_SHM_PREFIX, kPrefix) != 0) return false;
    std::size_t used = 0;
    for (const char* c = file + kPrefix; *c != '\0'; ++c) {
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
    name[used] = '\0';
    return used != 0;
}
