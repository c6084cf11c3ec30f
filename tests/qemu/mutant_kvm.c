// SPDX-License-Identifier: GPL-2.0-or-later
// Mutants of QEMU under KVM, by LD_PRELOAD, for showing that tests find them.
// IPIDEFER_MUTANT says which:
//   msi   an MSI that QEMU injects with KVM_SIGNAL_MSI is lost, and QEMU is told
//         that all is well: what the doorbell does not record goes this way
//   bit   the work bit that QEMU records in a word of the puppet's is gone before
//         a vCPU runs again
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { kSlots = 512, kCpus = 4 };
// As in tests/support/contract.py: where CPU n's word is, and its work bit.
static const uint64_t kWords = 0x500000, kWordStride = 0x1000;
static const uint32_t kBit = 0x100;

static struct kvm_userspace_memory_region slots[kSlots];

static void drop_bits(void)
{
    for (int i = 0; i < kSlots; i++) {
        for (unsigned cpu = 0; cpu < kCpus; cpu++) {
            uint64_t gpa = kWords + kWordStride * cpu;
            uint64_t offset = gpa - slots[i].guest_phys_addr;

            if (offset < slots[i].memory_size) {
                uintptr_t at = slots[i].userspace_addr + offset;

                __atomic_fetch_and((uint32_t *)at, ~kBit, __ATOMIC_SEQ_CST);
            }
        }
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, ...);
    const char *mutant = getenv("IPIDEFER_MUTANT");
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "ioctl");
    }
    if (mutant && !strcmp(mutant, "msi") && request == KVM_SIGNAL_MSI) {
        return 1;
    }
    if (mutant && !strcmp(mutant, "bit")) {
        if (request == KVM_SET_USER_MEMORY_REGION) {
            const struct kvm_userspace_memory_region *region = arg;
            uint16_t slot = (uint16_t)region->slot;

            if (slot < kSlots && region->slot == slot) {
                slots[slot] = *region;
            }
        }
        if (request == KVM_RUN) {
            drop_bits();
        }
    }
    return real(fd, request, arg);
}
