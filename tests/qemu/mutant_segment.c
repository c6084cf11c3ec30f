// SPDX-License-Identifier: GPL-2.0-or-later
// Mutants of a QEMU with a segment, by LD_PRELOAD, for showing that tests find
// them. IPIDEFER_MUTANT says which:
//   keep    the segment's file is not removed
//   block   no thread unblocks SIGBUS, so that nothing handles that of a
//           truncated segment
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_mutant(const char *name)
{
    const char *mutant = getenv("IPIDEFER_MUTANT");

    return mutant && !strcmp(mutant, name);
}

int unlinkat(int folder, const char *path, int flags)
{
    static int (*real)(int, const char *, int);

    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "unlinkat");
    }
    if (is_mutant("keep") && !strncmp(path, "ipidefer.", 9)) {
        return 0;
    }
    return real(folder, path, flags);
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    static int (*real)(int, const sigset_t *, sigset_t *);

    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_sigmask");
    }
    if (is_mutant("block") && how == SIG_UNBLOCK && set &&
        sigismember(set, SIGBUS) == 1) {
        return real(SIG_BLOCK, NULL, old);
    }
    return real(how, set, old);
}
