# SPDX-License-Identifier: GPL-2.0-or-later
"""ipideferd's page, as a browser shows it: VMs with hostile names, live and without
JavaScript."""
import contextlib
import json
import re
import subprocess
import urllib.parse
import urllib.request

import pytest

from tests.support import browser, requirements
from tests.support.children import mortal

pytestmark = [pytest.mark.unit, pytest.mark.ctest(timeout=300)]
# What would run, if a name were HTML or could end an attribute, a tag or a comment.
HOSTILE = ("<img src=x onerror=\"window.bad=1\">", "</table><script>window.bad=1</script>",
           "\"><svg onload=window.bad=1>", "--><b>x", "&lt;i&gt;")
# Elements that no part of our own page is.
FOREIGN = "document.querySelectorAll('main :is(img,script,svg,b b,i,iframe)').length"
TEXT = "document.querySelector('main').innerText"


@contextlib.contextmanager
def started(*command):
    with subprocess.Popen(mortal([str(word) for word in command]),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def daemon(tmp_path):
    """The address of the page of a daemon that watches VMs with hostile names."""
    with contextlib.ExitStack() as stack:
        vms = tmp_path / "vms"
        vms.mkdir()
        for name in (*HOSTILE, "web1"):
            vm = stack.enter_context(started(
                requirements.path("IPIDEFER_TEST_VMM"), "--shm-dir", vms,
                "--rate", 100, "--seconds", 600, "--", name))
            assert vm.stdout.readline() == "ready\n"
        (tmp_path / "config.json").write_text(json.dumps(
            {"listen": "127.0.0.1:0", "shm_dir": str(vms)}))
        process = stack.enter_context(started(requirements.path("IPIDEFERD"), "--config",
                                              tmp_path / "config.json"))
        line = ""
        while not line.startswith("listening on "):
            line = process.stdout.readline()
            assert line, "the daemon has ended"
        yield f"http://{line.split()[-1]}/"


def rates_of(page, name):
    """@return what a VM's row says of a second: deferred, coalesced, delivered"""
    cells = page.evaluate(
        "[...[...document.querySelectorAll('#vms tr')].find(row => "
        f"row.cells[0].innerText === {json.dumps(name)}).cells].map(c => c.innerText)")
    return [float(cell) for cell in cells[4:7]]


class TestPage:
    def test_is_live_and_shows_names_as_text(self, daemon):
        with browser.chromium() as page:
            page.show(daemon)
            page.wait_for("document.getElementById('live').textContent === 'Live.'")
            before = page.evaluate(TEXT)
            page.wait_for(f"{TEXT} !== {json.dumps(before)}")
            for name in (*HOSTILE, "web1"):
                assert name in page.evaluate(TEXT)
                assert sum(rates_of(page, name)) > 0
            assert page.evaluate(FOREIGN) == 0
            assert page.evaluate("window.bad") is None
            assert page.complaints == []

    def test_can_be_read_without_javascript(self, daemon):
        with browser.chromium() as page:
            page.show(daemon, scripts=False)
            assert "As it was" in page.evaluate("document.body.innerText")
            # The first who looks waits for rates.
            assert sum(rates_of(page, "web1")) > 0
            assert page.evaluate("document.querySelectorAll('noscript meta').length") == 1
            assert page.evaluate(FOREIGN) == 0

    @pytest.mark.parametrize("width", (1200, 480))
    def test_fits_into_the_window(self, daemon, width, tmp_path):
        with browser.chromium() as page:
            page.show(daemon, width=width)
            page.wait_for("document.getElementById('live').textContent === 'Live.'")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            picture = page.picture()
            assert picture.startswith(b"\x89PNG")
            # Not blank: that compresses to a few kilobytes.
            assert len(picture) > 8000

    def test_says_when_the_daemon_is_gone(self, tmp_path):
        (tmp_path / "config.json").write_text(json.dumps(
            {"listen": "127.0.0.1:0", "shm_dir": str(tmp_path)}))
        with browser.chromium() as page:
            with started(requirements.path("IPIDEFERD"), "--config",
                         tmp_path / "config.json") as process:
                page.show(f"http://{process.stdout.readline().split()[-1]}/")
                page.wait_for("document.getElementById('live').textContent === 'Live.'")
                assert "There are no VMs." in page.evaluate(TEXT)
            page.wait_for("document.getElementById('live').textContent"
                          ".startsWith('Not connected')")

    def test_its_policy_runs_nothing_but_its_script(self, daemon):
        """Also if the escaping had a hole."""
        with browser.chromium() as page:
            page.show(daemon)
            page.wait_for("document.getElementById('live').textContent === 'Live.'")
            page.evaluate("document.querySelector('footer').innerHTML = "
                          + json.dumps("".join(HOSTILE)))
            page.wait_for("document.querySelectorAll('footer img').length === 1")
            page.ask("Runtime.evaluate", expression="new Promise(f => setTimeout(f, 500))",
                     awaitPromise=True)
            assert page.evaluate("window.bad") is None
            assert any("Content Security Policy" in text for text in page.complaints)


def test_names_that_are_not_escaped_would_be_seen():
    """The control: the same names in a page without escapes and without a policy."""
    with browser.chromium() as page:
        page.show("data:text/html," + urllib.parse.quote(
            f"<!DOCTYPE html><main>{''.join(HOSTILE)}</main>"))
        assert page.evaluate(FOREIGN) > 0
        page.wait_for("window.bad === 1")


def test_page_needs_nothing_from_elsewhere(daemon):
    with urllib.request.urlopen(daemon) as answer:
        text = answer.read().decode()
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert re.findall(r"(?:src|href)=\"?([^\s\">]+)", re.sub(r"<main>.*</main>", "", text,
                                                             flags=re.DOTALL)) == ["/metrics"]
