// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest is told, and what it says to the VMM besides its console.
#include "guests/scenarios/kernel.hpp"

namespace guest::scenarios {
namespace {

constexpr u16 kPortMark = 0xf5;

const char* command_line()
{
    // Multiboot 0.6.96, 3.3.
    return reinterpret_cast<const char*>(u64{word_at(g_boot_info + 16)});
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

void print_values(std::initializer_list<Value> values)
{
    for (const auto& [name, value] : values) {
        print(name);
        print("=");
        print(value);
        print(" ");
    }
    print("\n");
}

void mark(u32 value) { outl(kPortMark, value); }

}  // namespace guest::scenarios
