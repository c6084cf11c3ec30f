# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of `ipidefer lab show --as html`, in a browser."""
import collections
import html.parser
import io
import json
import pathlib
import subprocess
import tempfile

import pytest

from tests.support import requirements
from tests.support.browser import chromium

pytestmark = [pytest.mark.unit, pytest.mark.ctest(timeout=600, processors=2)]
ELSEWHERE = "http://elsewhere.invalid/"
HOSTILE = (f"</title></pre><script>document.title='owned'</script>"
           f"<img src={ELSEWHERE} onerror=\"document.title='owned'\">")
# gnuplot's bars (experiments/report/plots.cpp), in the order of modes.
COLOURS = ((0x00, 0x72, 0xb2), (0xd5, 0x5e, 0x00))


class Page(html.parser.HTMLParser):
    """Its elements, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


Shown = collections.namedtuple("Shown", "dom console asked picture")


def shown(folder, change=lambda report: None, change_page=lambda page: page):
    """@return the page of the sample with repetitions, as a browser shows it"""
    sample = folder / "repeated.json"
    subprocess.run([requirements.path("IPIDEFER_SAMPLE_REPORTS"), folder], check=True)
    report = json.loads(sample.read_text())
    change(report)
    sample.write_text(json.dumps(report))
    page = folder / "page.html"
    subprocess.run([requirements.path("IPIDEFER_CLI"), "lab", "show", "--as", "html",
                    "--output", page, sample], stdin=subprocess.DEVNULL, check=True)
    page.write_text(change_page(page.read_text()))
    with chromium() as browser:
        browser.show(page.as_uri(), height=3000)
        dom = browser.evaluate("document.documentElement.outerHTML")
        return Shown(dom, browser.complaints, browser.requests(), browser.picture())


def colours(seen):
    """@return {(red, green, blue): how many of the picture's pixels have that colour}"""
    image = requirements.module("PIL.Image", "python3-pil")
    picture = image.open(io.BytesIO(seen.picture)).convert("RGB")
    return {colour: count for count, colour in
            picture.getcolors(picture.width * picture.height)}


@pytest.fixture(scope="module", autouse=True)
def tools():
    requirements.program("chromium")
    requirements.program("gnuplot")


@pytest.fixture(scope="module")
def plain():
    """The page as it is; browsers take their time to start."""
    with tempfile.TemporaryDirectory(prefix="ipidefer-test-") as folder:
        yield shown(pathlib.Path(folder))


class TestPage:
    def test_has_nothing_to_complain_of(self, plain):
        assert plain.console == []

    def test_asks_for_nothing(self, plain):
        assert plain.asked == []

    def test_its_texts_are_there(self, plain):
        page = Page(plain.dom)
        for text in ("Interrupts of isolated vCPUs", "Workload mixed", "How much, and how sure",
                     "hv - off/A", "less", "no difference seen", "Gaps of the loops",
                     "Interrupts by repetition", "ipidefer lab run --modes off,hv --repeat 8",
                     "Left out, as the host starved it", "SHA-256 aaaa"):
            assert text in page.text, text
        assert "script" not in page.tags

    def test_its_plots_are_to_be_seen(self, plain):
        pixels = colours(plain)
        assert pixels.get(COLOURS[0], 0) > 1000     # Bars of off; those of hv are of 0.
        assert pixels.get(COLOURS[1], 0) > 20


class TestHostileNames:
    def test_they_stay_text(self, tmp_path):
        def rename(report):
            for run in report["runs"]:
                run["workload"] = HOSTILE
                run["guest"]["interrupts"][HOSTILE] = 5
                run["guest"]["events"][HOSTILE] = 5
            report["provenance"]["command_line"] = HOSTILE
            report["provenance"]["host"]["kernel"] = HOSTILE
            report["provenance"]["guests"][0]["kernel_release"] = HOSTILE
            report["starved"][0]["reason"] = HOSTILE
        seen = shown(tmp_path, rename)
        page = Page(seen.dom)
        assert "script" not in page.tags
        assert not any(name.startswith("on") for name, _ in page.attributes)
        assert all(value.startswith("data:image/svg+xml,")
                   for name, value in page.attributes if name == "src")
        assert page.text.count(HOSTILE) >= 6
        assert "<title>Interrupts of isolated vCPUs</title>" in seen.dom
        assert (seen.console, seen.asked) == ([], [])


class TestControls:
    """What the tests above look for is seen where it is there."""

    @staticmethod
    def with_offenders(page):
        return page.replace("</h1>", f"</h1><script>document.title='owned'</script>"
                                     f"<img src='{ELSEWHERE}'>")

    def test_the_policy_forbids_what_would_run_or_be_fetched(self, tmp_path):
        seen = shown(tmp_path, change_page=self.with_offenders)
        assert len(seen.console) == 2, seen.console
        assert all("Content Security Policy" in line for line in seen.console)
        assert seen.asked == []
        assert "<title>owned" not in seen.dom

    def test_without_the_policy_both_happen(self, tmp_path):
        seen = shown(tmp_path, change_page=lambda page: self.with_offenders(
            page.replace("Content-Security-Policy", "X-No-Policy")))
        assert "<title>owned</title>" in seen.dom
        assert ELSEWHERE in seen.asked

    def test_a_page_without_plots_has_not_their_colours(self, tmp_path):
        seen = shown(tmp_path, change_page=lambda page: page.replace("<img ", "<i "))
        assert colours(seen).get(COLOURS[0], 0) == 0
