# SPDX-License-Identifier: GPL-2.0-or-later
"""senders.py finds what can make another CPU act, in trees of a few lines; and its table is
what docs/SENDERS.md shows, and names only what there is.

The comparison with Linux itself is kernel.senders (guest-patches/linux-6.12/tests).
"""
import io
import json
import re
import subprocess
import sys
import tarfile

import pytest

from tests.support.requirements import ROOT

pytestmark = pytest.mark.unit
SCRIPT = ROOT / "guest-patches/linux-6.12/senders/senders.py"
DOCUMENT = ROOT / "docs/SENDERS.md"
DONE, DIFFERS, CANNOT = 0, 1, 2
KCONFIG = """\
config SMP
	bool "SMP"
config X86_64
	def_bool y
config FAST
	bool "Fast"
	depends on X86_64 && !UML
config SLOW
	tristate "Slow"
	depends on ARM64 || COMPILE_TEST
config HELPER
	tristate
config CHOOSER
	bool "Chooser"
	depends on FAST
	select HELPER
	help
	  This line says select SLOW, and
	  config NOTHING
	  is no option.
"""
ROW = """\
[section]
met = "met"
[[sender]]
name = "one"
section = "met"
verdict = "deferred"
for = "f"
today = "t"
why = "w"
shown = "s"
"""


def run(*arguments, stdin=None):
    """@return exit status, standard output and standard error"""
    done = subprocess.run([sys.executable, "-B", SCRIPT, *map(str, arguments)], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def tree(tmp_path):
    """Writes files of a tree, and says which sites there are."""
    class Tree:
        folder = tmp_path / "linux"
        table = tmp_path / "table.toml"

        def write(self, name, text):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def sites(self):
            status, out, said = run("list", self.folder)
            assert (status, said) == (DONE, "")
            return out.splitlines()

        def sites_of(self, text):
            """Of a file of the kernel with that text."""
            self.write("kernel/a.c", text)
            return [site.removeprefix("kernel/a.c:") for site in self.sites()]

        def check(self, *patterns):
            self.table.write_text(f"{ROW}sites = {json.dumps(patterns)}\n")
            status, out, said = run("--table", self.table, "check", self.folder)
            assert said == ""
            return status, out.splitlines()
    return Tree()


class TestCalls:
    def test_call_has_its_function(self, tree):
        assert tree.sites_of("""\
static int __init one(void)
{
	return smp_call_function_single(1, f, NULL, 1);
}
SYSCALL_DEFINE1(two, int, a)
{
	if (a) {
		on_each_cpu(f, NULL, 1);
	}
	apic->send_IPI(1, 2);
}
""") == ["3: one: smp_call_function_single", "8: two: on_each_cpu", "10: two: send_IPI"]

    def test_text_is_no_call(self, tree):
        assert tree.sites_of("""\
/* on_each_cpu(f, NULL, 1); */
void one(void)
{
	// on_each_cpu(f, NULL, 1);
	g("on_each_cpu(\\"", '"', 1); /* on_each_cpu(f);
	on_each_cpu(f) */ stop_machine(f, "on_each_cpu(", NULL);
}
""") == ["6: one: stop_machine"]

    def test_declaration_and_definition_are_no_calls(self, tree):
        assert tree.sites_of("""\
extern void on_each_cpu(smp_call_func_t func, void *info, int wait);
EXPORT_SYMBOL(on_each_cpu);
struct ops { void (*send_IPI)(int cpu, int vector); };
static struct ops ops = { .send_IPI = native_send_IPI };
void one(void)
{
	void stop_machine(int);
	mine_on_each_cpu(f);
}
""") == []

    def test_what_passes_a_call_on_is_not_looked_into(self, tree):
        assert tree.sites_of("""\
void smp_call_function(int f)
{
	smp_call_function_many(mask, f, NULL, 1);
}
void one(void)
{
	smp_call_function(f);
}
""") == ["7: one: smp_call_function"]

    def test_macro_is_a_function(self, tree):
        assert tree.sites_of("""\
#define all(f) \\
	do { on_each_cpu(f, NULL, 1); } while (0)
#define flush_tlb_page(vma, a) flush_tlb_range(vma, a, a + 1)
#define NAME on_each_cpu
""") == ["2: all: on_each_cpu"]

    def test_branches_that_open_one_block(self, tree):
        """As many braces as an #ifdef and its #else have are not all closed."""
        assert tree.sites_of("""\
#ifdef CONFIG_A
void one(int a) {
#else
void one(void) {
#endif
	on_each_cpu(f, NULL, 1);
}
void two(void)
{
	stop_machine(f, NULL, NULL);
}
""") == ["6: one: on_each_cpu", "10: two: stop_machine"]

    def test_macro_without_semicolon_before_a_function(self, tree):
        assert tree.sites_of("""\
SHOW(0)
static int one(int a)
	__releases(lock)
{
	resched_cpu(a);
}
""") == ["5: one: resched_cpu"]


# One of each kind of name, as calls in different ways.
NAMES = """
on_each_cpu on_each_cpu_mask on_each_cpu_cond on_each_cpu_cond_mask smp_call_function
smp_call_function_single smp_call_function_many smp_call_function_any
smp_call_function_single_async smp_call_on_cpu __smp_call_single_queue generic_exec_single
kick_all_cpus_sync arch_send_call_function_single_ipi native_send_call_func_ipi
task_function_call cpu_function_call rdmsr_on_cpu wrmsrl_safe_on_cpu rdmsr_safe_regs_on_cpu
wrmsr_on_cpus wbinvd_on_all_cpus wbinvd_on_cpu wbnoinvd_on_all_cpus schedule_on_each_cpu
queue_work_on queue_delayed_work_on mod_delayed_work_on schedule_work_on
schedule_delayed_work_on queue_work_node work_on_cpu work_on_cpu_safe
kblockd_mod_delayed_work_on irq_work_queue_on stop_machine stop_machine_cpuslocked
stop_machine_from_inactive_cpu stop_cpus stop_one_cpu stop_one_cpu_nowait stop_two_cpus
stop_core_cpuslocked resched_cpu resched_curr resched_curr_lazy smp_send_reschedule
arch_smp_send_reschedule kick_process wake_up_all_idle_cpus wake_up_if_idle
wake_up_nohz_cpu wake_up_idle_cpu tick_nohz_full_kick tick_nohz_full_kick_cpu
tick_nohz_full_kick_all tick_nohz_dep_set_cpu tick_broadcast trigger_all_cpu_backtrace
nmi_trigger_cpumask_backtrace nmi_shootdown_cpus kgdb_roundup_cpus smp_send_stop
crash_smp_send_stop native_stop_other_cpus apic_send_nmi_to_offline_cpu send_IPI
__apic_send_IPI_mask x2apic_send_IPI_all apic_icr_write native_x2apic_icr_write
__send_ipi_mask hv_send_ipi_mask ipi_defer_all ipi_defer_kernel_tlbi_begin
text_poke_sync text_poke_bp text_poke_queue smp_text_poke_batch_finish flush_tlb_all
flush_tlb_mm flush_tlb_range flush_tlb_kernel_range flush_tlb_kernel_unmapped
flush_tlb_kernel_settle native_flush_tlb_multi arch_tlbbatch_flush flush_pmd_tlb_range
flush_hugetlb_tlb_range try_to_unmap_flush_dirty tlb_remove_table_sync_one
vm_unmap_aliases vm_unmap_aliases_deferrable vunmap_range cpa_flush cpa_flush_all
add_timer_on kthread_bind kthread_bind_mask kthread_create_on_cpu kthread_run_on_cpu
smpboot_register_percpu_thread set_cpus_allowed_ptr cpuhp_setup_state cpuhp_remove_state
cpuhp_setup_state_cpuslocked cpuhp_state_add_instance cpuhp_state_remove_instance
""".split()


class TestNames:
    def test_each_is_found_in_a_file_that_has_no_other(self, tree):
        for name in NAMES:
            tree.write(f"kernel/{name}.c", f"void one(void)\n{{\n\tx->{name} (1);\n}}\n")
        assert tree.sites() == [f"kernel/{name}.c:3: one: {name}" for name in sorted(NAMES)]

    def test_names_like_them_are_not(self, tree):
        assert tree.sites_of("void one(void)\n{\n" + "".join(
            f"\tx_{name}_y(1);\n" for name in NAMES if "send_IPI" not in name) +
            "\tflush_tlb_one_user(1); queue_work(a, b); for_each_cpu(a, b);\n}\n") == []


class TestWhatCanBeBuilt:
    CALL = "void one(void)\n{\n\ton_each_cpu(f, NULL, 1);\n}\n"

    def names(self, tree):
        return [site.split(":")[0] for site in tree.sites()]

    def test_other_architectures_are_left_out(self, tree):
        tree.write("arch/x86/mm/a.c", self.CALL)
        tree.write("arch/arm64/mm/a.c", self.CALL)
        tree.write("tools/a.c", self.CALL)
        assert self.names(tree) == ["arch/x86/mm/a.c"]

    def test_options_are_those_of_x86(self, tree):
        tree.write("Kconfig", KCONFIG)
        tree.write("drivers/Makefile", "obj-y += in/\nobj-$(CONFIG_SLOW) += out/\n")
        tree.write("drivers/in/Makefile", """\
obj-$(CONFIG_FAST) += fast.o whole.o
obj-$(CONFIG_SLOW) += slow.o \\
	slower.o
obj-$(CONFIG_HELPER) += helper.o
obj-$(CONFIG_NOTHING) += nothing.o
whole-y := part.o
whole-$(CONFIG_SLOW) += slowpart.o
""")
        for name in ("fast", "slow", "slower", "helper", "nothing", "part", "slowpart",
                     "unnamed"):
            tree.write(f"drivers/in/{name}.c", self.CALL)
        tree.write("drivers/out/a.c", self.CALL)
        tree.write("drivers/out/b.h", self.CALL)
        assert self.names(tree) == [f"drivers/in/{name}.c" for name in
                                    ("fast", "helper", "part", "unnamed")]

    def test_a_tree_without_kconfig_has_everything(self, tree):
        tree.write("drivers/Makefile", "obj-$(CONFIG_SLOW) += a.o\n")
        tree.write("drivers/a.c", self.CALL)
        assert self.names(tree) == ["drivers/a.c"]

    def test_code_of_options_that_cannot_be(self, tree):
        tree.write("Kconfig", KCONFIG)
        assert tree.sites_of("""\
void one(void)
{
#ifdef CONFIG_SLOW
	on_each_cpu(f, NULL, 1);
#elif defined(CONFIG_FAST)
	stop_machine(f, NULL, NULL);
#endif
#ifndef CONFIG_SMP
	on_each_cpu(f, NULL, 1);
#else
	resched_cpu(1);
#endif
#if 0
	on_each_cpu(f, NULL, 1);
#endif
#if IS_ENABLED(CONFIG_FAST)
	kick_all_cpus_sync();
#endif
}
""") == ["6: one: stop_machine", "11: one: resched_cpu", "17: one: kick_all_cpus_sync"]


class TestComparison:
    CALLS = """\
void one(void)
{
	on_each_cpu(f, NULL, 1);
}
void two(void)
{
	stop_machine(f, NULL, NULL);
}
"""

    def test_all_is_covered(self, tree):
        tree.write("kernel/a.c", self.CALLS)
        assert tree.check("kernel/a.c:one", "kernel/*:*:stop_machine") == (
            DONE, ["2 sites, all of them covered by 1 rows"])

    def test_new_sender_is_named(self, tree):
        tree.write("kernel/a.c", self.CALLS)
        assert tree.check("kernel/a.c:one") == (
            DIFFERS, ["kernel/a.c:7: two: stop_machine: no row covers this"])

    def test_new_callee_in_a_known_function_is_named(self, tree):
        tree.write("kernel/a.c", self.CALLS.replace("on_each_cpu", "smp_call_function"))
        assert tree.check("kernel/a.c:one:on_each_cpu", "kernel/a.c:two") == (
            DIFFERS, ["kernel/a.c:3: one: smp_call_function: no row covers this",
                      "row 'one': 'kernel/a.c:one:on_each_cpu' has no site"])

    def test_row_without_a_site_is_named(self, tree):
        tree.write("kernel/a.c", self.CALLS)
        assert tree.check("kernel/a.c", "kernel/a.c:three") == (
            DIFFERS, ["row 'one': 'kernel/a.c:three' has no site"])

    def test_exact_patterns_come_before_families(self, tree):
        tree.write("kernel/a.c", self.CALLS)
        assert tree.check("kernel/*", "kernel/a.c:one", "kernel/a.c:two")[1] == [
            "row 'one': 'kernel/*' has no site"]

    def test_json(self, tree):
        tree.write("kernel/a.c", self.CALLS)
        tree.table.write_text(f'{ROW}sites = ["kernel/a.c:one", "mm/a.c"]\n')
        status, out, _ = run("--table", tree.table, "check", "--json", tree.folder)
        found = json.loads(out)
        assert (status, found["sites"]) == (DIFFERS, 2)
        assert [(site["path"], site["line"], site["function"], site["callee"], site["how"])
                for site in found["new"]] == [
            ("kernel/a.c", 7, "two", "stop_machine", "stop machine")]
        assert [pattern["text"] for pattern in found["gone"]] == ["mm/a.c"]
        status, out, _ = run("--table", tree.table, "list", "--json", tree.folder)
        assert [site["row"] for site in json.loads(out)] == ["one", None]


class TestErrors:
    @pytest.mark.parametrize("change, said", [
        (("deferred", "later"), "'later' is no verdict"),
        (('why = "w"', ""), "row 'one' has no why"),
        (('section = "met"', 'section = "other"'), "there is no section 'other'"),
        (('shown = "s"', 'shown = "s"\nshows = "s"'), "there is no such key: shows"),
        (('shown = "s"', 'shown = "a | b"'), "has a |"),
        (('["kernel"]', '["a:b:c:d"]'), "'a:b:c:d' is not path"),
        (("[section]", "[section"), "table.toml: "),
    ])
    def test_table_that_is_wrong(self, tree, change, said):
        text = f'{ROW}sites = ["kernel"]\n'
        assert change[0] in text
        tree.table.write_text(text.replace(*change))
        status, out, error = run("--table", tree.table, "check", tree.folder)
        assert (status, out) == (CANNOT, "")
        assert error.startswith("senders: ") and said in error

    def test_no_tree(self, tmp_path):
        status, _, error = run("list", tmp_path)
        assert status == CANNOT
        assert "is no Linux source tree" in error

    def test_usage(self):
        assert run("list")[0] == CANNOT
        status, out, _ = run("--help")
        assert status == DONE
        assert "check" in out and "Exit status" in out


class TestExtract:
    def archive(self, files):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:xz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        return content.getvalue()

    def test_has_the_same_sites(self, tmp_path):
        call = TestWhatCanBeBuilt.CALL
        status, _, error = run("extract", tmp_path, "lib/other.S", stdin=self.archive({
            "linux-1/kernel/a.c": call, "linux-1/kernel/b.c": "int on_each_cpux;\n",
            "linux-1/kernel/Makefile": "obj-y += a.o b.o\n", "linux-1/tools/c.c": call,
            "linux-1/lib/other.S": "nop\n", "linux-1/lib/more.S": "nop\n",
            "linux-1/../../a.c": call}))
        assert (status, error) == (DONE, "")
        assert sorted(path.relative_to(tmp_path).as_posix()
                      for path in tmp_path.rglob("*.*")) == ["kernel/a.c", "lib/other.S"]
        assert run("list", tmp_path)[1] == "kernel/a.c:3: one: on_each_cpu\n"

    def test_no_archive(self, tmp_path):
        status, _, error = run("extract", tmp_path, stdin=b"nothing")
        assert status == CANNOT
        assert "no archive" in error


class TestDocument:
    def test_shows_the_table(self):
        assert run("document", DOCUMENT) == (DONE, "", "")

    def test_a_difference_is_seen_and_put_right(self, tmp_path):
        copy = tmp_path / "a.md"
        text = DOCUMENT.read_text()
        copy.write_text(text.replace("**deferred**", "**skipped**", 1))
        assert copy.read_text() != text
        assert run("document", copy)[0] == DIFFERS
        assert run("document", copy, "--write")[0] == DONE
        assert copy.read_text() == text

    def test_a_document_without_markers(self, tmp_path):
        (tmp_path / "a.md").write_text("# Senders\n")
        status, _, error = run("document", tmp_path / "a.md")
        assert status == CANNOT
        assert "<!-- senders: met -->" in error

    def test_patches_and_workloads_exist(self):
        text = DOCUMENT.read_text()
        patches = {path.name[:4] for path in
                   (ROOT / "guest-patches/linux-6.12/patches").glob("0*.patch")}
        numbers = set(re.findall(r"\b00\d\d\b", text))
        assert len(numbers) > 5
        assert numbers - patches == set()
        workloads = {path.stem for path in
                     (ROOT / "experiments/guest/workloads").glob("*.sh")}
        named = {name for names in re.findall(r"workloads? ((?:`[\w-]+`(?:, )?)+)", text)
                 for name in re.findall(r"`([\w-]+)`", names)}
        assert len(named) > 4
        assert named - workloads == set()
        tests = set(re.findall(r"`(test_\w+)`", text))
        sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
        assert len(tests) > 1
        assert [name for name in tests if f"def {name}(" not in sources] == []
