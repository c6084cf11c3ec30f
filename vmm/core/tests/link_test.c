/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VMM in C against an installed tree: all of the path that it uses. */
#include <ipidefer/ipidefer.h>
#include <stdio.h>

int main(void)
{
    struct ipi_defer_binding raw = {
        .word_gpa = 0x1000,
        .accept_mask = 1u << 16,
        .work_bit = 1u << 8,
        .state_mask = 3,
        .vector = 0xf1,
        .state_user = 2,
        .state_guest = 3,
        .state_idle = 1,
    };
    struct ipi_defer_binding bindings[IPI_DEFER_MAX_BINDINGS];
    uint32_t word = 2;
    uint32_t *words[] = {&word};
    struct ipidefer_fault fault;
    char text[128];

    ipidefer_vm *vm = ipidefer_vm_create(2);
    if (!vm)
        return 1;
    if (ipidefer_table_decode(&raw, sizeof(raw), 1, bindings, &fault) ||
        ipidefer_bind(vm, 1, bindings, words, 1, &fault)) {
        fprintf(stderr, "%s\n", ipidefer_fault_text(&fault, text, sizeof(text)));
        return 1;
    }
    if (ipidefer_set_isolated(vm, 1, true))
        return 1;
    ipidefer_set_trace(vm, IPIDEFER_TRACE_VERDICT);
    if (ipidefer_trace(vm) != IPIDEFER_TRACE_VERDICT ||
        ipidefer_bindings(vm, 1, bindings) != 1)
        return 1;
    struct ipidefer_icr icr = ipidefer_icr_x2apic(0x1000000f1);
    if (!icr.deferrable || !ipidefer_typed(vm, icr.vector))
        return 1;
    enum ipidefer_verdict v = ipidefer_decide(vm, icr.dest, icr.vector);
    puts(ipidefer_verdict_name(v));
    ipidefer_vm_destroy(vm);
    return ipidefer_suppresses(v) && word == (2 | 1u << 8) ? 0 : 1;
}
