# SPDX-License-Identifier: GPL-2.0-or-later
"""A page as a browser without a screen shows it: what it asks for, what it complains of,
and what is to be seen."""
import contextlib
import http.server
import re
import subprocess
import tempfile
import threading
import zlib

from tests.support import requirements

PATIENCE = 120
CONSOLE = re.compile(r":CONSOLE[(:](.*)")
# Whom the browser itself calls, whatever it shows; switches do not keep it from all of that.
OF_THE_BROWSER = re.compile(r"^(https?://)?([a-z0-9-]+\.)*(google|googleapis|gvt1)\.com[:/]")
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-default-apps", "--disable-extensions", "--disable-sync"]


class Proxy(http.server.BaseHTTPRequestHandler):
    """Notes what it is asked for, and has nothing."""

    def handle_any(self):
        if not OF_THE_BROWSER.match(self.path):
            self.server.asked.append(self.path)
        with contextlib.suppress(ConnectionError):  # It has ended.
            self.send_error(404)

    do_GET = do_POST = do_HEAD = do_CONNECT = handle_any

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def proxy():
    """@return a proxy's port, and what is asked of it"""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, server.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Shown:
    """What came of a page."""

    def __init__(self, file):
        """@param file: the page"""
        browser = requirements.program("chromium")
        self.picture = file.with_suffix(".png")
        with tempfile.TemporaryDirectory(prefix="ipidefer-browser-",
                                         ignore_cleanup_errors=True) as home, \
                proxy() as (port, asked):
            common = [browser, "--headless", "--no-sandbox", "--disable-gpu",
                      f"--user-data-dir={home}", "--enable-logging=stderr",
                      f"--proxy-server=http://127.0.0.1:{port}", *QUIET]
            dom = self.run([*common, "--dump-dom", file.as_uri()])
            self.run([*common, "--hide-scrollbars", "--window-size=1000,3000",
                      f"--screenshot={self.picture}", file.as_uri()])
            self.asked = list(asked)
        self.dom = dom.stdout
        # What pages have done wrong, and what their policy has kept them from.
        self.console = CONSOLE.findall(dom.stderr)

    @staticmethod
    def run(command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=True,
                              timeout=PATIENCE)

    def pixels(self):
        """@return {(red, green, blue): how many of the picture's pixels have that colour}"""
        return colours(self.picture.read_bytes())


def unfiltered(kind, line, above, size):
    """A line of a PNG's pixels without what it was filtered by (PNG, section 9.2)."""
    line = bytearray(line)
    for i, value in enumerate(line):
        left = line[i - size] if i >= size else 0
        up, corner = above[i], above[i - size] if i >= size else 0
        if kind == 4:
            guess = left + up - corner
            best = min((abs(guess - left), 0, left), (abs(guess - up), 1, up),
                       (abs(guess - corner), 2, corner))[2]
        else:
            best = (0, left, up, (left + up) // 2)[kind]
        line[i] = (value + best) & 0xff
    return bytes(line)


def colours(png):
    """@param png: of 8 bits a channel, not interlaced, with or without transparency"""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, data = 8, b""
    while place < len(png):
        size = int.from_bytes(png[place:place + 4], "big")
        kind, body = png[place + 4:place + 8], png[place + 8:place + 8 + size]
        if kind == b"IHDR":
            width, height = (int.from_bytes(body[i:i + 4], "big") for i in (0, 4))
            assert body[8] == 8 and body[9] in (2, 6) and body[12] == 0
            channels = 3 if body[9] == 2 else 4
        elif kind == b"IDAT":
            data += body
        place += 12 + size
    lines, counts = zlib.decompress(data), {}
    above = bytes(width * channels)
    for number in range(height):
        start = number * (width * channels + 1)
        kind, line = lines[start], lines[start + 1:start + 1 + width * channels]
        above = line if kind == 0 else unfiltered(kind, line, above, channels)
        for i in range(0, len(above), channels):
            colour = tuple(above[i:i + 3])
            counts[colour] = counts.get(colour, 0) + 1
    return counts
