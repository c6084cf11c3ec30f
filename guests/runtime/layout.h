/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers that the runtime's assembly and its C++ agree on. */
#ifndef GUESTS_RUNTIME_LAYOUT_H
#define GUESTS_RUNTIME_LAYOUT_H

/* CPUs that have a stack. A guest with more of them is built with its own numbers. */
#ifndef GUEST_SLOTS
#define GUEST_SLOTS 32
#define GUEST_STACK_BYTES 8192
#endif
#define GUEST_AP_START 0x8000   /* a SIPI's vector, so a page below 1 MiB */
/* Selectors. */
#define GUEST_CODE 0x08
#define GUEST_DATA 0x10
#define GUEST_CODE32 0x18
#define GUEST_USER_DATA 0x23
#define GUEST_USER_CODE 0x2b
#define GUEST_FIRST_TSS 0x30

#endif
