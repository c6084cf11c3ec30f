/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rdinit of a guest under -icount shift=0, where the TSC counts instructions:
 * prints how many a request for sync_core() takes, with all other CPUs idle,
 * until the sender may go on, and powers off.
 *
 * The vCPUs take turns, so what the others execute until then is in it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>

enum { BATCHES = 300, REQUESTS = 20 };

static int failed(const char *what)
{
    perror(what);
    return 1;
}

/* The least of many: free of timer interrupts. 0: the kernel refused. */
static uint64_t least(int fd, const char *command)
{
    uint64_t best = UINT64_MAX;
    for (int b = 0; b < BATCHES; b++) {
        uint64_t start = __rdtsc();
        if (write(fd, command, strlen(command)) < 0)
            return 0;
        uint64_t took = __rdtsc() - start;
        if (took < best)
            best = took;
    }
    return best;
}

int main(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    mkdir("/debug", 0755);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        return failed("sched_setaffinity");
    if (mount("debug", "/debug", "debugfs", 0, NULL) != 0)
        return failed("debugfs");
    const int fd = open("/debug/x86/ipi_defer/test", O_RDWR);
    if (fd < 0)
        return failed("test file");
    sleep(1);
    char command[64];
    snprintf(command, sizeof(command), "request sync_core %d", REQUESTS);
    const uint64_t with = least(fd, command), without = least(fd, "request sync_core 0");
    if (with == 0 || without == 0)
        return failed("request");
    printf("cost %.1f\n", (double)(with - without) / REQUESTS);
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 1;
}
