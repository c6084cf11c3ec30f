# SPDX-License-Identifier: GPL-2.0-or-later
"""A headless Chromium, told what to do over a pipe by its own protocol."""
import base64
import contextlib
import json
import os
import select
import subprocess
import tempfile
import time

from tests.support import requirements
from tests.support.children import mortal

PATIENCE = 60
# A browser of a test has no accounts, no updates and no network but what it is shown.
OPTIONS = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update",
           "--disable-sync", "--no-default-browser-check", "--remote-debugging-pipe",
           # Root may not use its sandbox; the pages are our own.
           "--no-sandbox"]


class Page:
    """The one that is shown."""

    def __init__(self, write, read):
        self._write, self._read, self._text, self._id = write, read, b"", 0
        self._session = None
        self.complaints = []    # what the browser says is wrong with the page
        self._requests = {}     # what the page has asked for, by the browser's number
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        for part in "Page", "Runtime", "Log", "Network":
            self.ask(f"{part}.enable")

    def ask(self, method, **params):
        """@return the result of a command of the protocol"""
        self._id += 1
        command = {"id": self._id, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._id:
                assert "error" not in message, (method, message)
                return message["result"]
            self._hear(message)

    def _message(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._text:
            ready, _, _ = select.select([self._read], [], [],
                                        max(0, end - time.monotonic()))
            assert ready, f"Chromium says nothing for {PATIENCE} s"
            got = os.read(self._read, 1 << 16)
            assert got, "Chromium has ended"
            self._text += got
        message, _, self._text = self._text.partition(b"\0")
        return json.loads(message)

    def _hear(self, message):
        params = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])
        elif message["method"] == "Log.entryAdded" and \
                params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif message["method"] == "Network.requestWillBeSent":
            self._requests[params["requestId"]] = params["request"]["url"]
        elif message["method"] == "Network.loadingFailed" and "blockedReason" in params:
            # By the page's own policy: it never went out.
            self._requests.pop(params["requestId"], None)
        elif message["method"] == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {params['message']}")
            self.ask("Page.handleJavaScriptDialog", accept=True)

    def requests(self):
        """@return what the page has asked for beside itself, but for what it holds itself"""
        return [url for url in self._requests.values()
                if not url.startswith("data:") and url != self.evaluate("location.href")]

    def evaluate(self, expression):
        """@return the value of JavaScript, in the page"""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression):
        """@return the value of JavaScript, once that is true"""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, expression
            time.sleep(0.1)
        return value

    def show(self, url, scripts=True, width=1200, height=900):
        self.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)
        assert "errorText" not in self.ask("Page.navigate", url=url)
        # A page whose events go on never is idle.
        self.wait_for("location.href !== 'about:blank' && "
                      "document.readyState === 'complete'")

    def picture(self):
        """@return what it looks like, as PNG"""
        return base64.b64decode(self.ask("Page.captureScreenshot")["data"])


@contextlib.contextmanager
def chromium():
    """A Page of a browser that ends with the test, or the test is skipped."""
    program = requirements.program("chromium")
    # The browser reads commands from its descriptor 3, and writes to 4.
    from_us, write = os.pipe()
    read, to_us = os.pipe()

    def descriptors():
        high = [os.dup(fd) for fd in (from_us, to_us)]
        while min(high) < 5:
            high = [os.dup(fd) for fd in high]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    with tempfile.TemporaryDirectory(prefix="ipidefer-browser-",
                                     ignore_cleanup_errors=True) as profile:
        # Its threads outlive none of the test: descriptors are set before it is another
        # program.
        with subprocess.Popen(
                mortal([program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=descriptors,
                env={**os.environ, "HOME": profile}) as process:
            os.close(from_us)
            os.close(to_us)
            try:
                yield Page(write, read)
            finally:
                process.kill()
                process.wait()
                os.close(write)
                os.close(read)
