// SPDX-License-Identifier: GPL-2.0-or-later
// Load another kernel and enter it, with kexec_file_load(2) and reboot(2): the
// part of kexec-tools that the lifecycle tests need, static.
//
//   kexec_file now KERNEL INITRD COMMAND-LINE    enter it
//   kexec_file panic KERNEL INITRD COMMAND-LINE  load it for when we panic
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: kexec_file now|panic KERNEL INITRD COMMAND-LINE\n");
        return 1;
    }
    const int panic = strcmp(argv[1], "panic") == 0;
    const int kernel = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (kernel < 0)
        return failed(argv[2]);
    const int initrd = open(argv[3], O_RDONLY | O_CLOEXEC);
    if (initrd < 0)
        return failed(argv[3]);
    if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[4]) + 1,
                argv[4], panic ? KEXEC_FILE_ON_CRASH : 0UL))
        return failed("kexec_file_load");
    if (!panic)
        syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
                LINUX_REBOOT_CMD_KEXEC, NULL);
    return panic ? 0 : failed("reboot");
}
