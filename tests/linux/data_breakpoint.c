// SPDX-License-Identifier: GPL-2.0-or-later
// data_breakpoint ADDRESS CPU: ask for a data breakpoint on a word of the kernel's
// memory. Prints "set", or why not. It is not enabled, so that a kernel that should
// have refused lives to tell.
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: data_breakpoint ADDRESS CPU\n");
        return 1;
    }
    struct perf_event_attr attr = {
        .type = PERF_TYPE_BREAKPOINT,
        .size = sizeof attr,
        .bp_type = HW_BREAKPOINT_RW,
        .bp_addr = strtoul(argv[1], NULL, 0),
        .bp_len = HW_BREAKPOINT_LEN_4,
        .disabled = 1,
    };
    const long file = syscall(SYS_perf_event_open, &attr, -1, atoi(argv[2]), -1, 0);
    puts(file < 0 ? strerror(errno) : "set");
    return 0;
}
