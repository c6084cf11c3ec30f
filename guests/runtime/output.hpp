// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest says, and how it ends.
#pragma once

#include "guests/runtime/machine.hpp"

namespace guest {

/// To the device that the program is linked with: console.cpp, serial.cpp.
void print(const char* text);
void print(u64 value, unsigned base = 10);
/// By the exit port, where there is one; else this CPU stands still.
[[noreturn]] void end(u32 status);
/// Says why, and ends with status 1.
[[noreturn]] void fail(const char* why);
inline void expect(bool good, const char* what)
{
    if (!good) fail(what);
}
template <typename Done>
void await(const char* what, Done done)
{
    if (!wait_for(done)) fail(what);
}

// ---- Of serial.cpp

inline constexpr u16 kCom1 = 0x3f8;
inline constexpr u16 kCom1Status = kCom1 + 5;
void start_serial();
/// A character; halts, with interrupts enabled, while there is none.
char get();

}  // namespace guest
