# SPDX-License-Identifier: GPL-2.0-or-later
"""The call sites in a Linux source tree that can make another CPU act.

A function that only passes such a call on has a name in NAMES itself: its callers are
listed, and what is inside of it is not. That keeps smp.c out, and a new way in it.
"""
import os
import re
import string
import tarfile
from typing import NamedTuple

import c_calls
import kbuild

# What makes another CPU act, by how. Each is a regular expression for whole names.
NAMES = {
    "function call": r"on_each_cpu(_mask|_cond|_cond_mask)?|smp_call_function\w*|"
                     r"smp_call_in_kernel|__smp_call_single_queue|generic_exec_single|smp_call_on_cpu|"
                     r"kick_all_cpus_sync|arch_send_call_function_\w+|"
                     r"native_send_call_func_\w+|send_call_function_\w+|"
                     r"(task|cpu)_function_call",
    "MSR": r"(__)?(rd|wr)msrl?(_safe)?(_regs)?_on_cpus?",
    "cache": r"wbn?o?invd_on_(all_cpus|cpus?|cpus_mask)",
    "work": r"schedule_on_each_cpu|schedule_on_cpus|schedule_in_kernel|(__)?queue_(delayed_)?work_on|mod_delayed_work_on|"
            r"schedule_(delayed_)?work_on|queue_work_node|work_on_cpu(_safe)?(_key)?|"
            r"kblockd_mod_delayed_work_on",
    "irq_work": r"irq_work_queue_on",
    "stop machine": r"stop_machine(_cpuslocked|_from_inactive_cpu)?|stop_cpus|"
                    r"stop_one_cpu(_nowait|_async)?|stop_two_cpus|stop_core_cpuslocked",
    "reschedule": r"resched_cpu|resched_curr(_lazy)?|(arch_)?smp_send_reschedule|"
                  r"native_smp_send_reschedule|kick_process|wake_up_all_idle_cpus|"
                  r"wake_up_if_idle|wake_up_(nohz|idle)_cpu",
    "tick": r"tick_nohz_full_kick(_cpu|_all)?|tick_nohz_dep_set(_all|_cpu|_task|_signal)?|"
            r"tick_(do_)?broadcast",
    "NMI": r"(nmi_|arch_)?trigger_\w*backtrace|nmi_shootdown_cpus|kgdb_roundup_cpus|"
           r"(crash_)?smp_send_stop|(native_|crash_)?stop_other_cpus|"
           r"crash_stop_other_cpus|smp_send_nmi_\w+|apic_send_nmi_to_offline_cpu",
    "APIC": r"\w*send_IPI\w*|(native_)?(safe_)?(x2)?apic_icr_write|"
            r"__send_ipi_(mask|mask_ex|one)|hv_send_ipi\w*",
    "typed": r"ipi_defer_(all|sync_core|kernel_tlbi(_begin)?|request)",
    "text": r"text_poke_(sync|sync_deferrable|bp|bp_batch|queue|finish)|"
            r"smp_text_poke_\w+",
    "TLB": r"flush_tlb_(all|mm|mm_range|range|page|kernel_range|kernel_unmapped|kernel_settle|"
           r"kernel_deferred|"
           r"multi|batched_pending)|(native_|__)flush_tlb_multi|arch_tlbbatch_flush|"
           r"flush_p[mu]d_tlb_range|flush_hugetlb_tlb_range|try_to_unmap_flush(_dirty)?|"
           r"tlb_remove_table_sync_(one|rcu)|vm_unmap_aliases(_deferrable)?|"
           r"vunmap_range|cpa_flush(_all|_tlb)?",
    # Those that only register a callback have other names.
    "hotplug": r"cpuhp_(setup|remove)_state(_cpuslocked)?|"
               r"cpuhp_state_(add|remove)_instance(_cpuslocked)?",
    "timer": r"add_timer_on",
    "thread": r"kthread_bind(_mask)?|kthread_(create|run)_on_cpu|"
              r"smpboot_register_percpu_thread|set_cpus_allowed_ptr",
}
HOW = {how: re.compile(names) for how, names in NAMES.items()}
WANTED = re.compile("|".join(f"(?:{names})" for names in NAMES.values()))
# A file without any of these has none of the names. All begin with the same character, as
# that is many times faster to look for than the names are.
PARTS = re.compile(
    rb"_(?:each_cpu|call_(?:func|on_cpu|single)|exec_single|function_call|all_cpus_sync|"
    rb"on_(?:all_)?cpu|work_on|work_node|queue_on|machine|one_cpu|two_cpus|core_cpus|"
    rb"(?:cpu|cpus|curr|curr_lazy|process|broadcast|range|flush|flush_all|bind|bind_mask)"
    rb"(?=\s*\()|"
    rb"send_(?:resch|stop|nmi|ipi)|IPI|all_idle|if_idle|(?:nohz|idle)_cpu|"
    rb"nohz_(?:full_kick|dep_set)|\w*backtrace|icr_write|defer_|poke_|"
    rb"tlb_|tlbbatch|unmap_flush\w*|remove_table_sync|unmap_aliases|timer_on|"
    rb"in_kernel|percpu_thread|cpus_allowed|(?:setup|remove)_state|state_(?:add|remove)_instance)")
WORD = frozenset(string.ascii_letters + string.digits + "_")
FOLDERS = ("arch", "block", "crypto", "drivers", "fs", "include", "init", "io_uring",
           "ipc", "kernel", "lib", "mm", "net", "security", "sound", "virt")
# Programs for the build's machine, samples, and tests that no kernel contains.
NOT_KERNEL = frozenset(["tools", "scripts", "Documentation", "samples", "asic_reg"])


class NotATree(Exception):
    """What was named as a source tree is none."""


class Site(NamedTuple):
    """A place in the source that makes another CPU act."""
    path: str
    line: int
    function: str
    callee: str
    how: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.function or '-'}: {self.callee}"


def how(name):
    """@return the kind of a name of NAMES"""
    return next(kind for kind, names in HOW.items() if names.fullmatch(name))


def wanted(name):
    return WANTED.fullmatch(name) is not None


def may_have(content):
    """@return whether a file's bytes have any of the names, be it in a comment"""
    for found in PARTS.finditer(content):
        start, end = found.span()
        while start and chr(content[start - 1]) in WORD:
            start -= 1
        while end < len(content) and chr(content[end]) in WORD:
            end += 1
        if wanted(content[start:end].decode(errors="replace")):
            return True
    return False


def is_of_interest(path):
    """@return whether a C file or header may be part of a kernel for x86-64, by its path"""
    parts = path.split("/")
    return (path.endswith((".c", ".h")) and parts[0] in FOLDERS and
            (parts[0] != "arch" or parts[1] == "x86") and NOT_KERNEL.isdisjoint(parts))


def files(root):
    """@return the paths of all C files and headers that may be part of a kernel"""
    for top in FOLDERS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(set(folders) - NOT_KERNEL)
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                if is_of_interest(path):
                    yield path


def extract(stream, root, others):
    """Writes those files of a kernel's archive that sites() would read, and others.

    @param stream: the archive, not compressed or as tarfile knows it; everything in it is
    in one folder, which is left out
    @param others: a set of paths
    @return how many files were written"""
    count = 0
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            path = member.name.partition("/")[2]
            if not member.isreg() or ".." in path.split("/"):
                continue
            if not (path in others or is_of_interest(path) or
                    kbuild.MAKES.fullmatch(os.path.basename(path))):
                continue
            content = archive.extractfile(member).read()
            if path in others or not is_of_interest(path) or may_have(content):
                where = os.path.join(root, path)
                os.makedirs(os.path.dirname(where), exist_ok=True)
                with open(where, "wb") as file:
                    file.write(content)
                count += 1
    return count


def sites_of(path, text, option=lambda name: (True, False)):
    """@return the Sites of one file"""
    return [Site(path, call.line, call.function, call.name, how(call.name))
            for call in c_calls.calls(text, wanted, option)
            if not wanted(call.function)]


def sites(root):
    """@return the Sites of a tree, by path and line"""
    def read(name):
        try:
            with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None

    if not any(os.path.isdir(os.path.join(root, top)) for top in FOLDERS):
        raise NotATree(f"'{root}' is no Linux source tree: it has no arch, kernel or mm")
    build, found = kbuild.Kbuild(read), []
    for path in files(root):
        with open(os.path.join(root, path), "rb") as file:
            content = file.read()
        if not may_have(content) or not build.can_build(path):
            continue
        found += sites_of(path, content.decode(errors="replace"), build.kconfig.option)
    return found
