// SPDX-License-Identifier: GPL-2.0-or-later
// Output to ipidefer-vmm's console, a port.
#include "guests/runtime/output.hpp"

namespace guest {

void print(const char* text)
{
    // One string instruction, so one exit, where the processor does that.
    constexpr u16 kPort = 0xe9;
    u64 length = 0;
    while (text[length] != 0) ++length;
    asm volatile("cld; rep outsb"
                 : "+S"(text), "+c"(length)
                 : "d"(kPort)
                 : "memory");
}

}  // namespace guest
