/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rdinit of a guest under -icount shift=0, where the TSC counts instructions:
 * prints how many a system call takes, on each CPU, and powers off.
 *
 * One line per CPU: "cost CPU N INSTRUCTIONS". The least of many short batches
 * is free of interrupts and of other vCPUs' turns, so it is exact.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>
#include <x86intrin.h>

enum { BATCHES = 3000, CALLS = 10 };

static uint64_t least(int with_call)
{
    uint64_t best = UINT64_MAX;
    for (int b = 0; b < BATCHES; b++) {
        uint64_t start = __rdtsc();
        for (int i = 0; i < CALLS; i++) {
            long ret = 102; /* getuid: does next to nothing */
            if (with_call)
                __asm__ volatile("syscall" : "+a"(ret) : : "rcx", "r11", "memory");
            else
                __asm__ volatile("nop" : "+a"(ret) : : "rcx", "r11", "memory");
        }
        uint64_t took = __rdtsc() - start;
        if (took < best)
            best = took;
    }
    return best;
}

int main(void)
{
    /* Until the kernel refuses: isolated CPUs are not in our affinity. */
    for (int cpu = 0;; cpu++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (sched_setaffinity(0, sizeof(set), &set) != 0)
            break;
        uint64_t with = least(1), without = least(0);
        printf("cost %d %.1f\n", cpu, (double)(with - without) / CALLS);
    }
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 1;
}
