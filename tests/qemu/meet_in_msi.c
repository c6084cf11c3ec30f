// SPDX-License-Identifier: GPL-2.0-or-later
// Shows, by LD_PRELOAD, whether two threads of QEMU are injecting an MSI at a
// time: whoever comes first waits, for a while, until another one has come. How
// often they met, and how often nobody came, is in the file IPIDEFER_MEET, as two
// 64-bit numbers.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { kMaxWaitSeconds = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static unsigned inside;
static uint64_t *count;     // met, alone

static void meet(void)
{
    struct timespec until;
    uint64_t met_before;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += kMaxWaitSeconds;
    pthread_mutex_lock(&lock);
    met_before = count[0];
    if (++inside > 1) {
        count[0]++;
        pthread_cond_broadcast(&came);
    } else {
        while (count[0] == met_before &&
               !pthread_cond_timedwait(&came, &lock, &until)) {
        }
        if (count[0] == met_before) {
            count[1]++;
        }
    }
    inside--;
    pthread_mutex_unlock(&lock);
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, ...);
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "ioctl");
    }
    if (count && request == KVM_SIGNAL_MSI) {
        meet();
    }
    return real(fd, request, arg);
}

__attribute__((constructor)) static void open_counts(void)
{
    const char *path = getenv("IPIDEFER_MEET");
    int fd = path ? open(path, O_RDWR) : -1;
    void *memory;

    if (fd < 0) {
        return;
    }
    memory = mmap(NULL, 2 * sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED,
                  fd, 0);
    close(fd);
    if (memory != MAP_FAILED) {
        count = memory;
    }
}
