// SPDX-License-Identifier: GPL-2.0-or-later
// A QEMU, by LD_PRELOAD, that takes long to tell its vCPUs of a change of the
// memory map: for a test of what they do before they know. It tells them by work
// items, and pauses before it allocates one, or anything else of that size.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

enum {
    kWorkItemBytes = 32,    // struct qemu_work_item, cpu-common.c
    kPauseMicroseconds = 500,
};

void *g_malloc0(size_t bytes)
{
    static void *(*real)(size_t);

    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "g_malloc0");
    }
    if (bytes == kWorkItemBytes) {
        usleep(kPauseMicroseconds);
    }
    return real(bytes);
}
