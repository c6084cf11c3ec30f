// SPDX-License-Identifier: GPL-2.0-or-later
// What the test guest can be asked for: "scenario=NAME" on its command line.
// Each ends the guest by failing, or returns.
#pragma once

#include "guests/scenarios/kernel.hpp"

namespace guest::scenarios {

void apic_basics();  // apic.cpp
void icr_storm();    // hostile.cpp
void bad_registrations();
void registration_storm();
void rewrite_storm();
void storm();  // deferral.cpp
/// One IPI at a time: each is work once, whether it was recorded or delivered.
void once();
void nmis();
void init_ends_registration();
void bench();  // bench.cpp
void spin();
void exits();

/// The job of an isolated CPU: registered, in ring 3, now and then in the
/// kernel for no reason, until its `stop`.
void isolated_job(Cpu& cpu);
/// Gives CPU `id` that job, and waits until it is in ring 3.
void isolate(unsigned id);
/// Ends it.
void release(unsigned id);

}  // namespace guest::scenarios
