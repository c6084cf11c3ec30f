// SPDX-License-Identifier: GPL-2.0-or-later
// The first serial port, a 16550.
#include "guests/runtime/output.hpp"

namespace guest {
namespace {

constexpr u8 kHasData = 1;
constexpr u8 kTakesData = 0x20;

}  // namespace

void start_serial()
{
    // FIFO, 14 bytes: QEMU fills it that far; else a tick per byte.
    outb(kCom1 + 2, 0xc1);
}

void print(const char* text)
{
    for (; *text != 0; ++text) {
        while ((inb(kCom1Status) & kTakesData) == 0) {
        }
        outb(kCom1, static_cast<u8>(*text));
    }
}

char get()
{
    while ((inb(kCom1Status) & kHasData) == 0) halt();
    return static_cast<char>(inb(kCom1));
}

}  // namespace guest
