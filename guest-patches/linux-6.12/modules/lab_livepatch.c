// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A live patch for the lab: while it is in force, /proc/version says so.
 *
 * What it does is of no use. What matters is what comes and goes with it: relocated
 * text, an ftrace handler on the patched function, and the transition of all tasks.
 */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int lab_version_proc_show(struct seq_file *m, void *v)
{
	seq_puts(m, "the lab's live patch is in force\n");
	return 0;
}

static struct klp_func lab_functions[] = {
	{
		.old_name = "version_proc_show",
		.new_func = lab_version_proc_show,
	},
	{ }
};

/* Without a name it is the kernel itself. */
static struct klp_object lab_objects[] = {
	{
		.funcs = lab_functions,
	},
	{ }
};

static struct klp_patch lab_patch = {
	.mod = THIS_MODULE,
	.objs = lab_objects,
};

static int __init lab_livepatch_init(void)
{
	return klp_enable_patch(&lab_patch);
}

/* Only called once the patch is disabled: until then it holds the module. */
static void __exit lab_livepatch_exit(void)
{
}

module_init(lab_livepatch_init);
module_exit(lab_livepatch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("A live patch for the lab");
