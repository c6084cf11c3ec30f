# SPDX-License-Identifier: GPL-2.0-or-later
"""Freestanding guests under ipidefer-vmm.

What the guest checks itself is in guests/scenarios; here its counts meet the VMM's. Counts,
never times.
"""
import json
import re
import subprocess
import tempfile

from tests.support import requirements
from tests.support.segment_tool import Tool
from tests.support.watched import NAME, Watched

# Its exit statuses (base/failure.hpp).
DONE, CANNOT_RUN, GUEST_FAILED, NOT_POSSIBLE = 0, 1, 2, 77
# Millions of TSC ticks: far longer than anything takes on a busy machine, and
# as long as a mutant needs to be seen.
PATIENT = "patience=200000"
IMPATIENT = "patience=20000"
# Loops between two entries, so that most IPIs find the CPU in ring 3.
MOSTLY_IN_RING_3 = "stay=2000000"
TYPED = ("0xf5", "0xf6")
# How long a VMM may take to end that is to end.
SECONDS = 100
MOV_0_OUT = b"\xb0\x00\xe6\xf4"     # mov $0, %al; out %al, $0xf4: the guest is done


class Run:
    """One run of a VMM: exit status, what was printed, the report."""

    def __init__(self, status, output, report_file):
        self.status, self.output = status, output
        self.report = (json.loads(report_file.read_text()) if report_file.exists()
                       else None)
        print(output)

    def expect(self, status, *said):
        """@return itself"""
        assert self.status == status, self.output
        for text in said:
            assert text in self.output
        return self

    def value(self, name):
        """What the guest printed as "name=value"."""
        found = re.search(rf"(?:^|\s){name}=(\d+)(?=\s|$)", self.output)
        assert found, f"the guest did not print {name}"
        return int(found[1])

    def verdicts(self, vcpu, prefix=""):
        """Verdicts for the two typed vectors of a vCPU whose name starts so."""
        return sum(count for vector, by in self.report["vcpus"][vcpu]["verdicts"].items()
                   if vector in TYPED
                   for verdict, count in by.items() if verdict.startswith(prefix))

    def recorded(self, vcpu):
        return self.verdicts(vcpu, "deferred") + self.verdicts(vcpu, "coalesced")

    def aged(self, vcpu):
        """How many were delivered for their age."""
        return sum(self.report["vcpus"][vcpu]["max_age"].values())

    def expect_accounted(self):
        """I1, counted on both sides: each IPI has one verdict, and no interrupt came that
        the VMM says it has recorded."""
        assert self.verdicts(1) == self.value("sent")
        assert self.value("taken") <= self.verdicts(1, "delivered")


class Vmm:
    """Runs VMMs with guests of a test's, with reports in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.program = requirements.path("IPIDEFER_VMM")
        self.guest = requirements.path("IPIDEFER_KVM_GUEST")
        self._reports = 0

    @staticmethod
    def with_bug(bug):
        """@return the VMM with one bug, see vmm/kvm/mutants.toml"""
        return requirements.path("IPIDEFER_MUTANT_PROGRAMS", f"ipidefer-vmm-{bug}")

    def four(self, append):
        """@return arguments of the test guest on four vCPUs, of which 1-3 are isolated"""
        return ["--guest", self.guest, "--cpus", "4", "--isolated", "1-3", "--append",
                append]

    def run(self, *arguments, program=None):
        self._reports += 1
        report = self.folder / f"report{self._reports}.json"
        done = subprocess.run([program or self.program, *arguments, "--json", report],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return Run(done.returncode, done.stdout, report)

    def scenario(self, append, *more, program=None):
        return self.run(*self.four(append), "--timeout", "150", *more, program=program)

    def flat(self, code):
        """@return an image of code, which is 32-bit"""
        image = self.folder / "flat.bin"
        image.write_bytes(code)
        return str(image)

    def run_code(self, code, *more):
        return self.run("--guest", self.flat(code), "--timeout", "60", *more)

    def start(self, *arguments, program=None):
        """@return the process, which nobody waits for and nobody reads from"""
        return subprocess.Popen([program or self.program, *arguments],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                bufsize=0)


class WatchedVmm(Watched):
    """A VMM that runs it with a segment in a folder of its own, while the test does
    something else. Of the isolated vCPUs the first is looked at."""

    def __init__(self, vmm, append, *more, program=None):
        folder = tempfile.mkdtemp(prefix="segments-", dir=vmm.folder)
        super().__init__(Tool(requirements.path("IPIDEFER_CLI"), folder), (1,))
        self.report_file = vmm.folder / "watched.json"
        self.report_file.unlink(missing_ok=True)
        self.process = vmm.start(
            *vmm.four(f"{append} {PATIENT}"), "--timeout", "150", "--segment", "on",
            "--name", NAME, "--json", self.report_file, "--segment-dir", folder,
            *more, program=program)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self, signal=None):
        """Waits for the end. @return as Vmm.run() does"""
        if signal is not None:
            self.process.send_signal(signal)
        output, _ = self.process.communicate(timeout=SECONDS)
        return Run(self.process.returncode, output.decode(errors="replace"),
                   self.report_file)

    def killed_by(self):
        """Waits for its death. @return the signal"""
        return -self.process.wait(30)
