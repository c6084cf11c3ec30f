/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Into the kernel by a trap, and to ring 3 and back. */
#include "guests/runtime/layout.h"

/*
 * 16 bytes for each vector, so that an IDT can be computed. Exceptions 8, 10-14,
 * 17, 21, 29 and 30 push an error code, the others get a 0. The stack is aligned:
 * the processor does that.
 */
        .balign 16
        .globl  stubs
stubs:
        vector = 0
        .rept   256
        .balign 16
        .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
        .else
        push    $0
        .endif
        push    $vector
        jmp     common_stub
        vector = vector + 1
        .endr

common_stub:
        .irp    register, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
        push    %\register
        .endr
        cld
        mov     %rsp, %rdi
        call    enter_trap
        .irp    register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
        pop     %\register
        .endr
        add     $16, %rsp
        iretq

/*
 * void to_user(uint64_t *saved_rsp, rip, rsp, a, b): ring 3 at rip with RDI = a,
 * RSI = b. Returns when from_user() is called; traps until then use the stack from
 * here on down. The 64-bit IRET: some nested KVMs emulate ring 0, and not the
 * 32-bit one.
 */
        .globl  to_user
to_user:
        .irp    register, rbx, rbp, r12, r13, r14, r15
        push    %\register
        .endr
        mov     %rsp, (%rdi)
        push    $GUEST_USER_DATA
        push    %rdx
        push    $0x202
        push    $GUEST_USER_CODE
        push    %rsi
        mov     %rcx, %rdi
        mov     %r8, %rsi
        iretq

/* void from_user(uint64_t saved_rsp): leave the trap, to to_user()'s caller. */
        .globl  from_user
from_user:
        mov     %rdi, %rsp
        .irp    register, r15, r14, r13, r12, rbp, rbx
        pop     %\register
        .endr
        ret
