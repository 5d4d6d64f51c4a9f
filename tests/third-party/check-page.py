# SPDX-License-Identifier: MIT
"""Runs a page of the manual as printed, as TAP, in one directory against an installation:

    ```c PATH      the file PATH
    ```c           an excerpt: it must stand so in a source file of this tree
    ```sh          commands
    ```text        what the commands before it print: these lines, in this order, among others;
                   "..." stands for anything

usage: check-page.py SOURCE_DIRECTORY BUILD_DIRECTORY PAGE"""
import glob
import os
import re
import shutil
import sys

from installed import Installation

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import Results  # pylint: disable=wrong-import-position

SOURCE, BUILD, PAGE = sys.argv[1:4]
FENCE = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def squeeze(text):
    return " ".join(text.split())


def sources():
    for pattern in ("plugins/**/*.c", "core/dlhost/*.h", "tools/templates/*.c"):
        for path in glob.glob(os.path.join(SOURCE, pattern), recursive=True):
            with open(path, encoding="utf-8") as file:
                yield squeeze(file.read())


def missing(want, said):
    """Returns: the first line of @want that @said does not have behind the lines before, or ""."""
    lines = [squeeze(line) for line in said.splitlines()]
    at = 0
    for line in map(squeeze, want.splitlines()):
        pattern = ".*".join(re.escape(part.strip()) for part in line.split("..."))
        while at < len(lines) and not re.fullmatch(pattern, lines[at]):
            at += 1
        if at == len(lines) and line != "...":
            return line
        at += line != "..."
    return ""


def run_block(place, commands, want):
    """Where a mistake is shown, the commands after it go on."""
    refused = any(line.startswith("dlhost: ") for line in want.splitlines())
    code, said = place.run("sh", "-c" if refused else "-ec", commands)
    line = missing(want, said)
    if code and not refused:
        return f"exit code {code}\n{commands}{said}"
    return f"does not print: {line}\n{commands}{said}" if line else ""


def main():
    results = Results()
    if not shutil.which("meson") or not shutil.which("make"):
        results.case("/page", "SKIP needs meson and make")
        results.finish()
    with open(PAGE, encoding="utf-8") as file:
        blocks = [match.groups() for match in FENCE.finditer(file.read())]
    place = Installation(BUILD)
    try:
        known = list(sources())
        for i, (language, path, text) in enumerate(blocks):
            name = f"/page/{i + 1}-{squeeze(text)[:40].replace('#', '')}"
            if language == "c" and path:
                with open(os.path.join(place.work, path), "w", encoding="utf-8") as file:
                    file.write(text)
            elif language == "c":
                results.case(name, "" if any(squeeze(text) in source for source in known) else
                             "is in no source file")
            elif language == "sh":
                after = blocks[i + 1] if i + 1 < len(blocks) else ("", "", "")
                results.case(name, run_block(place, text, after[2] if after[0] == "text" else ""))
    finally:
        place.remove()
    results.finish()


main()
