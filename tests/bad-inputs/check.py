# SPDX-License-Identifier: MIT
"""Runs the program on every bad input of the tables and compares exit code and message with
docs/bad-inputs.md, as TAP.

usage: check.py PROGRAM FIXTURES PLUGINS DOCUMENT [--codes] [--update] [--sanitized] [FAMILY...]

--codes leaves the comparison with the document out: exit code, one line, no crash.
--update writes the document anew from what the program says: read the difference before you commit
it. The exit codes stand in the tables here and are never taken from the program."""
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

import checkpoints
import config
import data
import environment
import numerics
import plugins
from common import TRAIN, Place, Row

FAMILIES = {
    "plugins": ("Plugins", plugins.ROWS),
    "checkpoints": ("Checkpoints and safetensors", checkpoints.ROWS),
    "data": ("Data files", data.ROWS),
    "config": ("Configuration and command line", config.ROWS),
    "numerics": ("Numbers", numerics.ROWS),
    "environment": ("Environment", environment.ROWS),
}
BEGIN = "<!-- the tables: written by tests/bad-inputs/check.py --update, compared by the test -->\n"
ANY = "…"
CACHE = {}


def not_for_others():
    """Why a row cannot run without root's rights; None when it can."""
    if os.geteuid() == 0 and "others" not in CACHE:
        row = Row("", "", ["--version"], 0, nobody=True)
        try:
            CACHE["others"] = run(row, "/")[0] != 0
        except (PermissionError, subprocess.SubprocessError):
            CACHE["others"] = True
    return "other users cannot run the program" if CACHE.get("others") else None


def setup_child(row):
    def setup():
        for what, value in row.limits.items():
            resource.setrlimit(what, (value, value))
        if row.nobody and os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        for number, place in ((0, row.stdin), (1, row.stdout)):
            if place == "closed":
                os.close(number)
    return setup


def environment_of(row):
    env = dict(os.environ)
    for name, value in row.env.items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    return env


def open_or(place, mode, otherwise):
    return open(place, mode) if place and place != "closed" else otherwise


def run(row, directory):
    """Returns exit code (or - signal) and standard error."""
    stdin = open_or(row.stdin, "rb", subprocess.DEVNULL)
    stdout = open_or(row.stdout, "wb", subprocess.PIPE)
    try:
        done = subprocess.run([*row.wrap, Place.program, *row.args], cwd=directory, stdin=stdin,
                              stdout=stdout, stderr=subprocess.PIPE, env=environment_of(row),
                              timeout=row.times * Place.patience, preexec_fn=setup_child(row),
                              check=False)
    except subprocess.TimeoutExpired:
        return "timeout", "", ""
    # Counters of a coverage build that cannot be written, where the row forbids it.
    err = re.sub(rb"(?m)^profiling:.*\n", b"", done.stderr)
    return (done.returncode, err.decode("utf-8", "backslashreplace"),
            (done.stdout or b"").decode("utf-8", "backslashreplace"))


def normal(row, text, directory):
    """The message without what differs between machines and runs."""
    text = text.replace(directory, "DIR").replace(Place.plugins, "PLUGINS")
    text = text.replace(os.environ.get("XDG_DATA_HOME", "\0"), "DATA")
    for pattern in row.vary:
        text = re.sub(pattern, ANY, text)
    return text.rstrip("\n")


def cell(text):
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def line_of(row, message):
    shown = f"`{message}`" if message and "`" not in message and "|" not in message \
        else cell(message) if message else "(none)"
    return f"| {cell(row.input)} | {row.code} | {shown} |"


def problem_of(row, code, err, message, known):
    """Why the outcome is not the documented one; empty when it is."""
    if code != row.code:
        return f"exit code {code}, should be {row.code}: {err}"
    if code and not err.startswith("dlhost: "):
        return f"the message does not begin with 'dlhost: ': {err}"
    if err.count("\n") > 1 or len(err) > 6000:
        return f"the message is not one line: {err[:2000]}"
    if not code and bool(err) != row.warns:
        return f"a message, or none, without failure: {err}"
    if known is not None and line_of(row, message) not in known:
        return f"not in the document: {line_of(row, message)}"
    return ""


def try_row(row, known):
    """Returns problem and message."""
    reason = row.needs() if row.needs else not_for_others() if row.nobody else None
    if reason:
        return f"SKIP {reason}", None
    directory = tempfile.mkdtemp(prefix="dlhost-bad-")
    os.chmod(directory, 0o755)
    try:
        if row.make:
            row.make(directory)
        code, err, out = run(row, directory)
        message = normal(row, err, directory)
        problem = problem_of(row, code, err, message, known)
        if not problem and row.check:
            problem = row.check(directory, out) or ""
        return problem, message
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def good_run(scratch):
    subprocess.run([Place.program, *TRAIN], cwd=scratch, check=True)
    Place.good_run = os.path.join(scratch, "run")


def old_lines(text):
    return {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}


def main():
    update = "--update" in sys.argv
    Place.sanitized = "--sanitized" in sys.argv
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    Place.program, Place.fixtures, Place.plugins, document, *wanted = words
    Place.program = os.path.abspath(Place.program)
    Place.plugins = os.path.abspath(Place.plugins)
    Place.patience = 20 if Place.sanitized else 5
    with open(document, encoding="utf-8") as file:
        text = file.read()
    loose = update or "--codes" in sys.argv
    old, known = old_lines(text), None if loose else set(text.splitlines())
    tables, failed, number = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="dlhost-bad-") as scratch:
        good_run(scratch)
        for name, (title, rows) in FAMILIES.items():
            tables.append(f"\n## {title}\n\n| Input | Exit | Message |\n|---|---|---|")
            for row in rows:
                if row.slow and "--codes" in sys.argv:
                    continue
                if wanted and name not in wanted:
                    tables.append(old[f"| {cell(row.input)}"])
                    continue
                number += 1
                problem, message = try_row(row, known)
                skip = problem.startswith("SKIP")
                failed += bool(problem and not skip)
                print(f"{'not ' if problem and not skip else ''}ok {number} /bad-input/{name}/"
                      f"{re.sub('[^a-z0-9]+', '-', row.input.lower())[:60].strip('-')}"
                      f"{' # ' + problem if skip else ''}", flush=True)
                if problem and not skip:
                    print("# " + problem.replace("\n", "\n# "), flush=True)
                tables.append(old[f"| {cell(row.input)}"] if skip else line_of(row, message))
    number += 1
    problem = "" if loose or wanted else strangers(text)
    failed += bool(problem)
    print(f"{'not ' if problem else ''}ok {number} /bad-input/document/has-no-other-row")
    if problem:
        print(f"# {problem}")
    print(f"1..{number}")
    if update:
        with open(document, "w", encoding="utf-8") as file:
            file.write(text.split(BEGIN)[0] + BEGIN + "\n".join(tables) + "\n")
    sys.exit(failed > 0)


def strangers(text):
    """Lines of the document's tables that no row stands behind."""
    inputs = {f"| {cell(row.input)}" for _, rows in FAMILIES.values() for row in rows}
    lines = [line for line in text.split(BEGIN)[1].splitlines()
             if line.startswith("| ") and not line.startswith("| Input")]
    return "\n# ".join(line for line in lines if line.split(" | ")[0] not in inputs)


main()
