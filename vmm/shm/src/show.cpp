// SPDX-License-Identifier: GPL-2.0-or-later
// Show: a VM's name, which is any bytes, as text that anybody can print, and
// read back.
#include <ipidefer/shm.h>

#include <cstdint>

#include "vmm/shm/src/percent.hpp"

namespace {

using namespace ipidefer::shm;

struct Character {
    std::uint32_t code;
    unsigned bytes;  // 0: not UTF-8
};

/// The character at `at`, by RFC 3629: the shortest form, no surrogates.
Character utf8(const char* at) noexcept
{
    const auto byte = [at](unsigned i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(at[i]));
    };
    const std::uint32_t first = byte(0);
    if (first < 0x80) return {first, 1};
    const unsigned bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4) return {first, 0};
    std::uint32_t code = first & (0x7fu >> bytes);
    for (unsigned i = 1; i < bytes; ++i) {
        // Also a NUL, so that nothing is read behind the end.
        if ((byte(i) & 0xc0) != 0x80) return {first, 0};
        code = code << 6 | (byte(i) & 0x3f);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[bytes] || code > 0x10ffff ||
        (code >= 0xd800 && code <= 0xdfff))
        return {first, 0};
    return {code, bytes};
}

/// Controls, and what moves, hides or turns around the text beside it.
bool hidden(std::uint32_t code) noexcept
{
    constexpr struct {
        std::uint32_t first, last;
    } kRanges[] = {{0x00, 0x1f},     {0x7f, 0x9f},      {0xad, 0xad},
                   {0x61c, 0x61c},   {0x200b, 0x200f},  {0x2028, 0x202e},
                   {0x2060, 0x206f}, {0xfe00, 0xfe0f},  {0xfeff, 0xfeff},
                   {0xfff0, 0xfffb}, {0xe0000, 0xe0fff}};
    for (const auto& range : kRanges)
        if (code >= range.first && code <= range.last) return true;
    return false;
}

}  // namespace

const char* ipidefer_shm_show_name(const char* name, char* shown)
{
    char* to = shown;
    for (const char* at = name; *at != '\0';) {
        const auto [code, bytes] = utf8(at);
        const unsigned used = bytes == 0 ? 1 : bytes;
        const bool plain = bytes != 0 && code != '%' && !hidden(code);
        if (at + used > name + IPIDEFER_SEGMENT_NAME - 1) break;
        for (unsigned i = 0; i < used; ++i, ++at) {
            if (plain) {
                *to++ = *at;
                continue;
            }
            write_percent(to, *at);
            to += kPercentBytes;
        }
    }
    *to = '\0';
    return shown;
}

bool ipidefer_shm_read_name(const char* shown, char* name)
{
    std::size_t used = 0;
    for (const char* at = shown; *at != '\0'; ++at) {
        if (used + 1 == IPIDEFER_SEGMENT_NAME) return false;
        char byte = *at;
        if (byte == '%') {
            const int read = read_percent(at);
            if (read <= 0) return false;
            byte = static_cast<char>(read);
            at += kPercentBytes - 1;
        }
        name[used++] = byte;
    }
    name[used] = '\0';
    return used != 0;
}
