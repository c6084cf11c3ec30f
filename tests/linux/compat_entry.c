// SPDX-License-Identifier: GPL-2.0-or-later
// The child of entry_oracle.cpp as a 32-bit process, which makes its system
// calls by the vDSO: SYSCALL or SYSENTER, as the CPU has them. No C library.
#include <stdint.h>

enum { SYS_exit32 = 1, SYS_getpid32 = 20, SYS_mmap2_32 = 192 };
enum { AT_NULL = 0, AT_SYSINFO = 32 };
enum { PROT_RW = 3, MAP_SHARED_ = 1, SHARED_FD = 3, PAGE = 4096 };

static long int80(long number, long a, long b, long c, long d, long e)
{
    long result;
    __asm__ volatile("pushl %%ebp; xorl %%ebp, %%ebp; int $0x80; popl %%ebp"
                     : "=a"(result)
                     : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory");
    return result;
}

static void vdso_getpid(uint32_t vsyscall)
{
    long result;
    __asm__ volatile("call *%1"
                     : "=a"(result)
                     : "r"(vsyscall), "0"(SYS_getpid32)
                     : "memory", "cc");
}

// stack: argc, argv..., 0, envp..., 0, auxv...
__attribute__((noreturn, used)) void compat_main(uint32_t *stack)
{
    uint32_t *at = stack + 1 + stack[0] + 1;
    uint32_t vsyscall = 0;

    while (*at)
        at++;
    for (uint32_t *aux = at + 1; aux[0] != AT_NULL; aux += 2)
        if (aux[0] == AT_SYSINFO)
            vsyscall = aux[1];

    // struct Shared of entry_oracle.cpp: asked, entered
    volatile uint32_t *shared = (volatile uint32_t *)int80(
        SYS_mmap2_32, 0, PAGE, PROT_RW, MAP_SHARED_, SHARED_FD);
    if (!vsyscall || (uintptr_t)shared >= (uintptr_t)-PAGE)
        int80(SYS_exit32, 1, 0, 0, 0, 0);

    shared[1] = 1;
    for (uint32_t round = 1;;) {
        if (shared[0] == round)
            continue;
        vdso_getpid(vsyscall);
        shared[1] = ++round;
    }
}

__asm__(".globl _start\n_start: movl %esp, %eax; pushl %eax; call compat_main");
