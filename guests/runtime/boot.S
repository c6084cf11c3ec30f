/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a multiboot entry, or from a SIPI, to C++ in long mode, on a stack of the
 * CPU's own. The first 4 GiB are mapped where they are: addresses are
 * guest-physical. Tables and segments are ours, whoever has started us.
 */
#include "guests/runtime/layout.h"

        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .code32
        .globl  _start
_start:
        cli
        mov     %ebx, %ebp              /* multiboot information */
        lgdt    gdt_ptr
        ljmp    $GUEST_CODE32, $start_32

/* Every CPU, in protected mode. EBP: 0 for all but the first. */
start_32:
        mov     $GUEST_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $0x20, %eax             /* PAE */
        mov     %eax, %cr4
        mov     $pml4, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       /* EFER */
        xor     %edx, %edx
        mov     $0x100, %eax            /* long mode */
        wrmsr
        mov     $0x80010031, %eax       /* paging, WP, NE, ET, protection */
        mov     %eax, %cr0
        ljmp    $GUEST_CODE, $start_64

        .code64
start_64:
        lidt    idt_ptr
        xor     %eax, %eax
        cpuid
        cmp     $0xb, %eax
        jb      1f
        mov     $0xb, %eax
        xor     %ecx, %ecx
        cpuid
        test    %ebx, %ebx
        jnz     2f
1:      mov     $1, %eax
        cpuid
        shr     $24, %ebx
        mov     %ebx, %edx
2:      mov     %edx, %edi              /* its APIC ID */
        /* Its slot: the ID, but all large ones share the last slot. */
        mov     $(GUEST_SLOTS - 1), %esi
        cmp     %esi, %edi
        cmovb   %edi, %esi
        lea     1(%rsi), %eax
        imul    $GUEST_STACK_BYTES, %eax
        lea     stacks(%rax), %rsp
        mov     %ebp, %edx
        call    cpu_main

/* Copied to GUEST_AP_START. */
        .code16
        .globl  start_ap_begin, start_ap_end
start_ap_begin:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        xor     %ebp, %ebp
        lgdtl   GUEST_AP_START + (start_ap_gdt_ptr - start_ap_begin)
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmpl   $GUEST_CODE32, $start_32
        .balign 4
start_ap_gdt_ptr:
        .word   gdt_end - gdt - 1
        .long   gdt
start_ap_end:

/* Accessed and dirty bits are set, so that no processor has to. */
        .data
        .balign 16
        .globl  gdt_tss
gdt:    .quad   0
        .quad   0x00af9b000000ffff      /* 64-bit code */
        .quad   0x00cf93000000ffff      /* data */
        .quad   0x00cf9b000000ffff      /* 32-bit code */
        .quad   0x00cff3000000ffff      /* data, ring 3 */
        .quad   0x00affb000000ffff      /* 64-bit code, ring 3 */
gdt_tss:
        .skip   16 * GUEST_SLOTS
gdt_end:
gdt_ptr:
        .word   gdt_end - gdt - 1
        .long   gdt
        .balign 8
idt_ptr:
        .word   256 * 16 - 1
        .quad   idt

/* Present, writable, for ring 3 too; 2 MiB pages. */
        .balign 4096
pml4:   .quad   pdpt + 0x27
        .skip   4096 - 8
pdpt:   .quad   pds + 0x27, pds + 0x1027, pds + 0x2027, pds + 0x3027
        .skip   4096 - 32
pds:
        page = 0
        .rept   2048
        .quad   page + 0xe7
        page = page + 0x200000
        .endr

        .bss
        .balign 16
        .globl  stacks
stacks: .skip   GUEST_STACK_BYTES * GUEST_SLOTS
