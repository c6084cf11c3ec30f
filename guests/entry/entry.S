/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least of guests: is the first CPU entered as the image's format promises?
 * Ends with 0, or with the number of the first promise that was broken.
 * Assembled as multiboot (ELF32) and with PVH defined as PVH (ELF64). 32-bit code.
 */
        .code32
#ifdef PVH
#define INFO_COMMAND_LINE 24            /* hvm_start_info */
        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18                /* name, descriptor, PHYS32_ENTRY */
        .asciz  "Xen"
        .long   _start
#else
#define INFO_COMMAND_LINE 16            /* multiboot information */
        .section .head, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002
#endif

.macro expect_equal value, number
        cmp     \value, %ecx
        mov     $\number, %al
        jne     report
.endm

        .text
        .globl  _start
_start:
#ifdef PVH
        mov     (%ebx), %ecx
        expect_equal $0x336ec578, 1
#else
        mov     %eax, %ecx
        expect_equal $0x2badb002, 1
#endif
        mov     INFO_COMMAND_LINE(%ebx), %esi
        mov     (%esi), %ecx
        expect_equal $0x73757063, 2     /* "cpus" */
        mov     %cr0, %ecx
        and     $0x80000001, %ecx       /* protection, no paging */
        expect_equal $1, 3
        mov     bss_word, %ecx
        expect_equal $0, 4
        mov     data_word, %ecx
        expect_equal $0x12345678, 5
        xor     %eax, %eax
report:
        out     %al, $0xf4
        hlt

        .data
data_word: .long 0x12345678
        .bss
        .skip   5000
bss_word: .long 0
