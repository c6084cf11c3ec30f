/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry points of the test guest: multiboot start of the first CPU, real-mode
 * start of the others, 256 interrupt stubs, and the way to ring 3 and back.
 * Long mode, with the first 4 GiB mapped where they are: addresses are guest
 * physical. (Some nested KVMs emulate ring 0, and not the 32-bit IRET.)
 */

#include "guests/runtime/traps.inc"

/* Where start_ap_begin is copied to; a SIPI vector, so a page below 1 MiB. */
#define AP_START 0x8000
#define STACK_BYTES 4096
#define MAX_CPUS 32
#define CODE_SEL 0x08
#define DATA_SEL 0x10
#define CODE32_SEL 0x18
#define USER_DATA_SEL 0x23
#define USER_CODE_SEL 0x2b
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define CR0_PG 0x80000000
#define CR4_PAE 0x20

        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .code32
        .globl  _start
_start:
        cli
        lgdt    gdt_ptr
        ljmp    $CODE32_SEL, $start_32

/* Every CPU, in protected mode. */
start_32:
        mov     $DATA_SEL, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     %cr4, %eax
        or      $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $pml4, %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        rdmsr
        or      $EFER_LME, %eax
        wrmsr
        mov     %cr0, %eax
        or      $CR0_PG, %eax
        mov     %eax, %cr0
        ljmp    $CODE_SEL, $start_64

        .code64
/* In long mode: APIC ID, stack, then C. */
start_64:
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        lidt    idt_ptr
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
2:      mov     %edx, %edi
        /* Its slot: the ID, but all large ones share the last slot. */
        mov     $(MAX_CPUS - 1), %esi
        cmp     %esi, %edi
        cmovb   %edi, %esi
        lea     1(%rsi), %eax
        imul    $STACK_BYTES, %eax
        lea     stacks(%rax), %rsp
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
        ljmpl   $CODE32_SEL, $start_32
        .balign 4
start_ap_gdt_ptr:
        .word   gdt_end - gdt - 1
        .long   gdt
start_ap_end:
        .code64

/*
 * void enter_user(fn, arg, user_stack, kernel_stack *): run fn(arg) in ring 3
 * until it ends itself with UD2. Interrupts that it takes use our stack from
 * here on down.
 */
        .globl  enter_user, leave_user
enter_user:
        save_callers
        mov     %rsp, (%rcx)
        mov     %rdi, %rax
        mov     %rsi, %rdi
        push    $USER_DATA_SEL
        push    %rdx
        push    $0x202
        push    $USER_CODE_SEL
        push    %rax
        iretq

/* void leave_user(kernel_stack): return from that enter_user(). */
leave_user:
        mov     %rdi, %rsp
        restore_callers
        ret

        trap_stubs interrupt

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
        .skip   16 * MAX_CPUS
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
pml4:   .quad   pdpt + 7
        .skip   4096 - 8
pdpt:   .quad   pds + 7, pds + 0x1007, pds + 0x2007, pds + 0x3007
        .skip   4096 - 32
pds:
        page = 0
        .rept   2048
        .quad   page + 0x87
        page = page + 0x200000
        .endr

        .bss
        .balign 16
        .globl  stacks
stacks: .skip   STACK_BYTES * MAX_CPUS
