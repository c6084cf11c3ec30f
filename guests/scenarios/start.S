/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry points of the KVM test guest: long-mode start of the first CPU,
 * real-mode start of the others, 256 interrupt stubs, and the way into ring 3
 * and back. Paging and the first GDT are the VMM's (vmm/kvm/src/boot_info.hpp).
 *
 * Ring 0 may be emulated, thousands of times slower than ring 3: short is good.
 */

#include "guests/runtime/traps.inc"

/* Where start_ap_begin is copied to; a SIPI vector, so a page below 1 MiB. */
#define AP_START 0x8000
#define STACK_BYTES 16384               /* of each CPU, and its alignment */
#define BOOT_GDT 0xd0000400
#define BOOT_GDT_LIMIT 31
#define BOOT_PAGE_TABLES 0x1000
#define CODE_SEL 0x08
#define DATA_SEL 0x10
#define USER_DATA_SEL 0x1b
#define USER_CODE_SEL 0x23
#define MSR_EFER 0xc0000080

        .section .head, "ax"
        .globl  _start
_start:
        mov     %rdi, start_info(%rip)
        xor     %edi, %edi
        lea     stacks + STACK_BYTES(%rip), %rsp
        call    first_cpu
1:      hlt
        jmp     1b

        .text
/* Position: AP_START. */
        .code16
        .globl  start_ap_begin, start_ap_end
start_ap_begin:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        lgdtl   AP_START + (start_ap_gdt_ptr - start_ap_begin)
        mov     $0x620, %eax            /* PAE, FXSR, XMM exceptions */
        mov     %eax, %cr4
        mov     $BOOT_PAGE_TABLES, %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        xor     %edx, %edx
        mov     $0x100, %eax            /* long mode */
        wrmsr
        mov     $0x80010031, %eax       /* paging, WP, NE, ET, protection */
        mov     %eax, %cr0
        ljmpl   $CODE_SEL, $start_ap_long
        .balign 4
start_ap_gdt_ptr:
        .word   BOOT_GDT_LIMIT
        .long   BOOT_GDT
start_ap_end:

        .code64
start_ap_long:
        mov     $DATA_SEL, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $0xb, %eax
        xor     %ecx, %ecx
        cpuid
        mov     %edx, %edi              /* x2APIC ID: the CPU's number */
        lea     1(%rdi), %eax
        imul    $STACK_BYTES, %rax, %rax
        lea     stacks(%rip), %rsp
        add     %rax, %rsp
        call    other_cpu
1:      hlt
        jmp     1b

        trap_stubs trap

/* void to_user(uint64_t *saved_rsp, uint64_t rip, uint64_t rsp, a, b): ring 3
 * at rip with RDI = a, RSI = b. Returns when from_user() is called. */
        .globl  to_user
to_user:
        save_callers
        mov     %rsp, (%rdi)
        push    $USER_DATA_SEL
        push    %rdx
        push    $0x202
        push    $USER_CODE_SEL
        push    %rsi
        mov     %rcx, %rdi
        mov     %r8, %rsi
        iretq

/* void from_user(uint64_t saved_rsp): leave the trap, to to_user()'s caller. */
        .globl  from_user
from_user:
        mov     %rdi, %rsp
        restore_callers
        ret

/*
 * Ring 3. A system call would be usual, but cannot be had on every KVM: leave
 * by an undefined instruction.
 */
/* RDI: counter, which is incremented RSI times */
        .globl  user_count
user_count:
        incq    (%rdi)
        dec     %rsi
        jnz     user_count
        ud2

/* RDI: counter. RSI: leave when this word is not 0. */
        .globl  user_until
user_until:
        incq    (%rdi)
        cmpl    $0, (%rsi)
        je      user_until
        ud2

        .data
        .globl  start_info
        .balign 8
start_info: .quad 0

        .bss
        .globl  stacks
        .balign STACK_BYTES
stacks: .skip   STACK_BYTES * 16
