// SPDX-License-Identifier: GPL-2.0-or-later
// What a puppet's operations do again and again, and in between.
#pragma once

#include "guests/runtime/machine.hpp"

namespace guest {

inline void pause_for(u32 rounds)
{
    for (u32 i = 0; i < rounds; ++i) asm volatile("" ::: "memory");
}

/// @return what was there
inline u32 exchange(u32 address, u32 value)
{
    asm volatile("xchgl %0, %1"
                 : "+r"(value), "+m"(word_at(address))
                 :
                 : "memory");
    return value;
}

/// @return how often it was done until the word at `stop` was not 0
template <typename Do>
u32 repeat_until(u32 stop, Do what)
{
    u32 count = 0;
    for (; word_at(stop) == 0; ++count) what();
    return count;
}

}  // namespace guest
