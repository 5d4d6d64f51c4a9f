# SPDX-License-Identifier: MIT
"""Adds up the cases in meson's testlog.json files and ends with 'N passed, N failed, N skipped'.

usage: count-tests.py FAILED_BUILDS TESTLOG...
A program that crashes, times out or stops before its plan counts as one failure more."""
import json
import re
import sys

CASE = re.compile(r"^(ok|not ok)\b[^#\n]*(?:#\s*(\w+))?", re.MULTILINE)
PLAN = re.compile(r"^1\.\.(\d+)", re.MULTILINE)
GOOD = ("OK", "SKIP", "EXPECTEDFAIL")


def count(test):
    """Returns passed, failed, skipped of one program."""
    output = test.get("stdout") or ""
    cases = CASE.findall(output)
    plan = PLAN.search(output)
    if not plan:
        good = test["result"] in GOOD
        skipped = test["result"] == "SKIP"
        return int(good and not skipped), int(not good), int(skipped)
    skipped = sum(mark.upper() == "SKIP" for _, mark in cases)
    failed = sum(word == "not ok" and mark.upper() not in ("SKIP", "TODO") for word, mark in cases)
    incomplete = len(cases) != int(plan.group(1)) or (test["result"] not in GOOD and not failed)
    return len(cases) - skipped - failed, failed + incomplete, skipped


def main():
    failed_builds = int(sys.argv[1])
    totals = [0, failed_builds, 0]
    for path in sys.argv[2:]:
        try:
            with open(path, encoding="utf-8") as log:
                tests = [json.loads(line) for line in log]
        except OSError as error:
            print(f"no result: {error}")
            totals[1] += 1
            continue
        if not tests:
            print(f"no test ran: {path}")
            totals[1] += 1
        for test in tests:
            counts = count(test)
            if counts[1]:
                print(f"FAILED: {test['name']} ({path}): {counts[1]} of {sum(counts)}")
            totals = [a + b for a, b in zip(totals, counts)]
    if failed_builds:
        print(f"FAILED: {failed_builds} builds")
    print("%d passed, %d failed, %d skipped" % tuple(totals))
    sys.exit(totals[1] > 0)


main()
