# SPDX-License-Identifier: MIT
"""Prints gcovr's summary by directory and for the files of the gate, and fails when one of those is
below it.

usage: coverage.py SUMMARY [--gate]"""
import json
import os
import sys

LINES, BRANCHES = 95, 90
# What reads bytes or texts that others have written, and what finds and loads plugins.
GATED = [
    "core/io/",
    "core/plugin/",
    "core/state/checkpoint.c",
    "plugins/datasets/text.c",
    "tools/host/checkpoints.c",
    "tools/host/command.c",
    "tools/host/config.c",
    "tools/host/jsonfile.c",
    "tools/host/jsontext.c",
    "tools/host/report/metrics.c",
    "tools/host/report/record.c",
    "tools/host/sweep-plan.c",
    "tools/host/sweep-state.c",
]


def gated(name):
    return name.endswith(".c") and any(name.startswith(start) for start in GATED)


def percent(covered, total):
    # Rounded down: 94.99 is not 95.
    return 100 if total == 0 else int(1000 * covered / total) / 10


def row(name, files):
    """Name, lines, share of them, branches, share of them."""
    lines = sum(file["line_total"] for file in files)
    branches = sum(file["branch_total"] for file in files)
    return (name, lines, percent(sum(file["line_covered"] for file in files), lines), branches,
            percent(sum(file["branch_covered"] for file in files), branches))


def print_table(title, rows):
    print(f"| {title} | lines | reached | branches | reached |\n|---|---:|---:|---:|---:|")
    for name, lines, line_share, branches, branch_share in rows:
        print(f"| {name} | {lines} | {line_share:.1f} % | {branches} | {branch_share:.1f} % |")
    print()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        files = json.load(file)["files"]
    if "--gate" not in sys.argv:
        directories = {}
        for file in files:
            directories.setdefault(os.path.dirname(file["filename"]), []).append(file)
        print_table("directory", [row(f"`{name}/`", directories[name]) for name in sorted(directories)])
    rows = [row(f"`{file['filename']}`", [file]) for file in files if gated(file["filename"])]
    print_table("file of the gate", sorted(rows))
    low = [name for name, _, lines, _, branches in rows if lines < LINES or branches < BRANCHES]
    for name in low:
        print(f"coverage: {name} is below {LINES} % of lines or {BRANCHES} % of branches")
    if not rows:
        print("coverage: no file of the gate was built")
    return 1 if low or not rows else 0


sys.exit(main())
