// SPDX-License-Identifier: GPL-2.0-or-later
// What the test guest is told, and what it says: the command line, the console,
// and the ports by which it ends and marks moments.
#include "guests/scenarios/kernel.hpp"

namespace guest {
namespace {

constexpr u16 kPortConsole = 0xe9;
constexpr u16 kPortExit = 0xf4;
constexpr u16 kPortMark = 0xf5;

const char* command_line()
{
    // PVH start info: the address of the command line is at offset 24.
    return reinterpret_cast<const char*>(
        *reinterpret_cast<const u64*>(start_info + 24));
}

/// Right after "name=", or nullptr.
const char* find_option(const char* name)
{
    for (const char* at = command_line(); *at != 0;) {
        const char* n = name;
        while (*n != 0 && *at == *n) {
            ++at;
            ++n;
        }
        if (*n == 0 && *at == '=') return at + 1;
        while (*at != 0 && *at != ' ') ++at;
        while (*at == ' ') ++at;
    }
    return nullptr;
}

void outl(u16 port, u32 value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

}  // namespace

u64 option(const char* name, u64 otherwise)
{
    const char* at = find_option(name);
    if (at == nullptr) return otherwise;
    u64 value = 0;
    for (; *at >= '0' && *at <= '9'; ++at)
        value = 10 * value + static_cast<u64>(*at - '0');
    return value;
}

bool option_is(const char* name, const char* value)
{
    const char* at = find_option(name);
    if (at == nullptr) return false;
    for (; *value != 0; ++at, ++value)
        if (*at != *value) return false;
    return *at == 0 || *at == ' ';
}

void print(const char* text)
{
    // One string instruction, so one exit, where the processor does that.
    u64 length = 0;
    while (text[length] != 0) ++length;
    asm volatile("cld; rep outsb"
                 : "+S"(text), "+c"(length)
                 : "d"(kPortConsole)
                 : "memory");
}

void print(u64 value)
{
    char digits[21];
    unsigned i = 20;
    digits[i] = 0;
    do {
        digits[--i] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(digits + i);
}

void print_value(const char* name, u64 value)
{
    print(name);
    print("=");
    print(value);
    print(" ");
}

void end(u32 status)
{
    for (;;) {
        outl(kPortExit, status);
        asm volatile("cli; hlt");
    }
}

void fail(const char* why)
{
    // The first only: what two say at once nobody can read.
    static std::atomic<u32> failed{0};
    while (failed.exchange(1) != 0) asm volatile("cli; hlt");
    print("FAILED: ");
    print(why);
    print("\n");
    end(1);
}

void mark(u32 value) { outl(kPortMark, value); }

}  // namespace guest
