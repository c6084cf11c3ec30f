/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin of QEMU's TCG: how many instructions does a CPU execute between two of its
 * markers, XCHG %BX,%BX, which has no other use? Whatever it executes counts: a guest of
 * a KVM under TCG, that KVM, and the VMM in the guest's thread. Each marker becomes a
 * line in QEMU's log: "marker CPU INSTRUCTIONS", the instructions since the start.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static const unsigned char kMarker[] = {0x66, 0x87, 0xdb};
/* What each CPU has executed. */
static qemu_plugin_u64 executed;

static void at_marker(unsigned int cpu, void *unused)
{
    char line[64];

    (void)unused;
    snprintf(line, sizeof(line), "marker %u %" PRIu64 "\n", cpu,
             qemu_plugin_u64_get(executed, cpu));
    qemu_plugin_outs(line);
}

static int is_marker(const struct qemu_plugin_insn *insn)
{
    unsigned char code[sizeof(kMarker)];

    return qemu_plugin_insn_size(insn) == sizeof(code) &&
           qemu_plugin_insn_data(insn, code, sizeof(code)) == sizeof(code) &&
           memcmp(code, kMarker, sizeof(code)) == 0;
}

/* Per instruction, not per block: an exception leaves a block in its middle. */
static void at_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const size_t count = qemu_plugin_tb_n_insns(block);
    size_t i;

    (void)id;
    for (i = 0; i < count; i++) {
        struct qemu_plugin_insn *const insn = qemu_plugin_tb_get_insn(block, i);

        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            insn, QEMU_PLUGIN_INLINE_ADD_U64, executed, 1);
        if (is_marker(insn))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_marker, QEMU_PLUGIN_CB_NO_REGS,
                                                   NULL);
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
                                           int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    executed = qemu_plugin_scoreboard_u64(qemu_plugin_scoreboard_new(sizeof(uint64_t)));
    qemu_plugin_register_vcpu_tb_trans_cb(id, at_translation);
    return 0;
}
