// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests/runtime/output.hpp"

#include <atomic>

namespace guest {
namespace {

constexpr u16 kPortExit = 0xf4;

}  // namespace

void print(u64 value, unsigned base)
{
    char digits[21];
    unsigned i = sizeof(digits) - 1;
    digits[i] = 0;
    do {
        digits[--i] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    print(digits + i);
}

void end(u32 status)
{
    outl(kPortExit, status);
    for (;;) asm volatile("cli; hlt");
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

}  // namespace guest
