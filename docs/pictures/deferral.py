#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draw deferral.svg, the README's picture: an IPI to an isolated vCPU, as it is
today and with ipidefer.

    deferral.py >deferral.svg

tests/layout compares the two, so that the picture is what this file says.
"""
from xml.sax.saxutils import escape

WIDTH, PANEL, LEFT, TOP = 860, 170, 150, 46
LANES = ("housekeeping vCPU", "VMM", "isolated vCPU")
LANE, BAR = 40, 16
KERNEL, USER, VMM, LOST, WORK = "#8fa8c8", "#b9d8a9", "#d9c79a", "#d07a6a", "#6a8fd0"


class Picture:
    """SVG elements, in the order in which they are drawn."""

    def __init__(self):
        self._parts = []

    def text(self, x, y, words, size=12, anchor="start", weight="normal"):
        self._parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(words)}</text>')

    def bar(self, lane, start, end, colour, words=""):
        y = lane - BAR // 2
        self._parts.append(f'<rect x="{start}" y="{y}" width="{end - start}" '
                           f'height="{BAR}" fill="{colour}"/>')
        if words:
            self.text((start + end) // 2, lane + 4, words, 11, "middle")

    def arrow(self, x, start, end):
        self._parts.append(f'<path d="M{x} {start} V{end}" stroke="#333" '
                           'stroke-width="1.5" marker-end="url(#tip)"/>')

    def svg(self, height):
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{height}" viewBox="0 0 {WIDTH} {height}" '
            'font-family="sans-serif" fill="#222">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
            'markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 L8 4 L0 8 z"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            *self._parts, "</svg>"]) + "\n"


def lanes(picture, top, title):
    """@return the middle of each lane"""
    picture.text(12, top, title, 14, weight="bold")
    middles = [top + 26 + LANE * n for n in range(len(LANES))]
    for middle, name in zip(middles, LANES):
        picture.text(12, middle + 4, name)
    return middles


def today(picture, top):
    sender, vmm, target = lanes(picture, top, "Today")
    picture.bar(sender, LEFT, 250, KERNEL, "patches text")
    picture.bar(sender, 252, 590, "#e6e6e6", "waits for all CPUs")
    picture.bar(sender, 592, 840, KERNEL)
    picture.arrow(251, sender + 9, vmm - 9)
    picture.bar(vmm, 240, 330, VMM, "ICR write")
    picture.arrow(325, vmm + 9, target - 9)
    picture.bar(target, LEFT, 322, USER, "userspace")
    picture.bar(target, 324, 590, LOST, "exit, entry, handler, EOI, exit")
    picture.bar(target, 592, 840, USER, "userspace")


def with_ipidefer(picture, top):
    sender, vmm, target = lanes(picture, top, "With ipidefer")
    picture.bar(sender, LEFT, 250, KERNEL, "patches text")
    picture.bar(sender, 252, 392, "#e6e6e6", "waits")
    picture.bar(sender, 394, 840, KERNEL)
    picture.arrow(251, sender + 9, vmm - 9)
    picture.bar(vmm, 240, 390, VMM, "in userspace? set a bit")
    picture.bar(target, LEFT, 690, USER, "userspace, undisturbed")
    picture.bar(target, 692, 770, WORK, "work")
    picture.bar(target, 772, 840, KERNEL, "kernel")
    picture.text(840, target - 14, "its own system call, minutes later:", 11, "end")


def main():
    picture = Picture()
    picture.text(WIDTH - 12, 22, "time runs to the right, not to scale", 11, "end")
    today(picture, TOP - 20)
    with_ipidefer(picture, TOP - 20 + PANEL)
    print(picture.svg(TOP + 2 * PANEL - 30), end="")


if __name__ == "__main__":
    main()
