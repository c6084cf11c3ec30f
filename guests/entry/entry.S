/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least of guests: is the first CPU entered as the image's format promises?
 * Ends with 0, or with the number of the first promise that was broken.
 * Assembled as multiboot (ELF32), with PVH defined as PVH, and with LONG defined
 * as plain ELF64. No user of the runtime, which would put right what it looks at.
 */
#ifdef LONG
        .code64
#define INFO %rdi
#define ENTRY_CR0 0x80000001            /* paging, protection */
#else
        .code32
#define INFO %ebx
#define ENTRY_CR0 1
#endif
#if defined PVH || defined LONG
#define INFO_COMMAND_LINE 24            /* hvm_start_info */
#else
#define INFO_COMMAND_LINE 16            /* multiboot information */
#endif

#ifdef PVH
        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18                /* name, descriptor, PHYS32_ENTRY */
        .asciz  "Xen"
        .long   _start
#elif !defined LONG
        .section .multiboot, "a"
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
#if defined PVH || defined LONG
        mov     (INFO), %ecx
        expect_equal $0x336ec578, 1
#else
        mov     %eax, %ecx
        expect_equal $0x2badb002, 1
#endif
        mov     INFO_COMMAND_LINE(INFO), %esi
        mov     (%esi), %ecx
        expect_equal $0x73757063, 2     /* "cpus" */
#ifdef LONG
        mov     %cr0, %rcx
#else
        mov     %cr0, %ecx
#endif
        and     $0x80000001, %ecx
        expect_equal $ENTRY_CR0, 3
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
