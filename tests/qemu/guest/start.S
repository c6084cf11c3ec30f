/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry points of the test guest: multiboot start of the first CPU, real-mode
 * start of the others, and 256 interrupt stubs. Flat 32-bit segments, no
 * paging: addresses are guest physical.
 */

/* Where start_ap_begin is copied to; a SIPI vector, so a page below 1 MiB. */
#define AP_START 0x8000
#define STACK_BYTES 4096
#define CODE_SEL 0x08
#define DATA_SEL 0x10

        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .globl  _start
_start:
        cli
        lgdt    gdt_ptr
        ljmp    $CODE_SEL, $start_cpu

/* Every CPU, in protected mode: stack by APIC ID, then C. */
start_cpu:
        mov     $DATA_SEL, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        lidt    idt_ptr
        mov     $1, %eax
        cpuid
        shr     $24, %ebx
        mov     %ebx, %eax
        inc     %eax
        imul    $STACK_BYTES, %eax
        lea     stacks(%eax), %esp
        push    %ebx
        call    cpu_main
1:      hlt
        jmp     1b

/* Position: AP_START. */
        .code16
        .globl  start_ap_begin, start_ap_end
start_ap_begin:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        lgdtl   AP_START + (start_ap_gdt_ptr - start_ap_begin)
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmpl   $CODE_SEL, $start_cpu
        .balign 4
start_ap_gdt_ptr:
        .word   gdt_end - gdt - 1
        .long   gdt
start_ap_end:
        .code32

/*
 * Stubs of equal size, so that the IDT can be computed. Exceptions 8, 10-14,
 * 17, 21, 29 and 30 push an error code, the others get a 0.
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
        pusha
        cld
        push    %esp
        call    interrupt
        add     $4, %esp
        popa
        add     $8, %esp
        iret

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff
        .quad   0x00cf93000000ffff
gdt_end:
gdt_ptr:
        .word   gdt_end - gdt - 1
        .long   gdt
idt_ptr:
        .word   256 * 8 - 1
        .long   idt

        .bss
        .balign 16
stacks: .skip   STACK_BYTES * 32
