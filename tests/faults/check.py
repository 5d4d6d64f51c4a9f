# SPDX-License-Identifier: MIT
"""Fault loops, as TAP: every call of a run, of a resumed run and of a load that touches a file is made
to fail once (input/output error, full disk, interruption, half done, the process killed before it).
Whatever is in the folder then must be whole, and a run must go on from it to the same bytes.

usage: check.py PROGRAM SHIM [sanitized]

DLHOST_TEST_SLOW=1 tries each kind at each call; otherwise the rarer kinds go by every third."""
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM, SHIM = (os.path.abspath(path) for path in sys.argv[1:3])
ARGS = ["--model=mlp,hidden=[4]", "--dataset=synthetic,n=20,test=10", "--threads=1", "--quiet"]
RUN = [*ARGS, "--optimizer=adam", "--task.schedule=constant", "--task.checkpoint=2", "--out=run"]
FIRST = [*RUN, "--steps=4"]
SECOND = ["resume", "run", "--quiet", "--steps=8"]
LOAD = ["--task=evaluate", *ARGS, "--out=score", "--checkpoint=run/checkpoint-4.safetensors"]
# Kinds that a run must not notice; of the others it must die with a message.
HARMLESS = ("eintr", "short")
KINDS = {"kill": 1, "eio": 1, "enospc": 3, "eintr": 3, "short": 3}


def run(directory, args, kind=None, at=0, log=None):
    env = dict(os.environ)
    if kind or log:
        env.update(LD_PRELOAD=SHIM, FAULT_DIR=directory, FAULT_AT=str(at), FAULT_KIND=kind or "none")
    if log:
        env["FAULT_LOG"] = log
    return subprocess.run([PROGRAM, *args], cwd=directory, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, check=False)


def checkpoints(directory):
    folder = os.path.join(directory, "run")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = {}
    for name in names:
        if name.startswith("checkpoint-") and name.endswith(".safetensors"):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
    return found, [name for name in names if name.startswith(".")]


def prepare(scratch):
    """The bytes that runs without faults leave at each step, and a folder after FIRST."""
    whole = {f"checkpoint-{steps}.safetensors": set() for steps in range(2, 9, 2)}
    for steps in range(2, 9, 2):
        directory = os.path.join(scratch, f"whole-{steps}")
        os.mkdir(directory)
        done = run(directory, [*RUN, f"--steps={steps}"])
        assert done.returncode == 0, done.stderr
        collect(directory, whole)
    first = os.path.join(scratch, "whole-4")
    resumed = os.path.join(scratch, "resumed")
    shutil.copytree(first, resumed)
    done = run(resumed, SECOND)
    assert done.returncode == 0, done.stderr
    collect(resumed, whole)
    return whole, first


def collect(directory, whole):
    """A run's last checkpoint differs from one in the middle: sums of metrics are in it."""
    for name, data in checkpoints(directory)[0].items():
        whole[name].add(tensors(data))


def tensors(data):
    """What follows the header, which also holds the run's length."""
    n = int.from_bytes(data[:8], "little")
    return data[8 + n:]


def calls(directory, args):
    log = os.path.join(os.path.dirname(directory), "log")
    done = run(directory, args, log=log)
    assert done.returncode == 0, done.stderr
    with open(log, encoding="ascii") as file:
        names = [line.split()[1] for line in file]
    os.remove(log)
    return names


def outcome_problem(done, kind, call):
    if kind == "kill":
        return "" if done.returncode == -9 else f"exit code {done.returncode} after a kill"
    if done.returncode not in (0, 1, 4):
        return f"exit code {done.returncode}: {done.stderr}"
    if done.returncode and not done.stderr.startswith("dlhost: "):
        return f"exit code {done.returncode} without a message: {done.stderr!r}"
    if done.stderr.count("\n") > 1:
        return f"more than one line: {done.stderr!r}"
    # A file that cannot be opened, closed or synced for an interruption may end the run.
    if done.returncode and kind in HARMLESS and call in ("read", "write", "pread", "pread64", "fsync"):
        return f"{kind} of {call} ends the run: {done.stderr}"
    return ""


def folder_problem(directory, whole, kind, old):
    found, hidden = checkpoints(directory)
    for name, data in found.items():
        if tensors(data) not in whole[name]:
            return f"{name} is neither the old nor the new one"
    if old and not found:
        return "the checkpoint from before is gone, and no other is there"
    if len(hidden) > (kind == "kill"):
        return f"temporary files are left: {hidden}"
    return ""


def goes_on_problem(directory, whole):
    """After the fault, the same command to the end."""
    if not checkpoints(directory)[0]:
        return ""
    done = run(directory, SECOND)
    if done.returncode:
        return f"resume fails with {done.returncode}: {done.stderr}"
    found, hidden = checkpoints(directory)
    if tensors(found.get("checkpoint-8.safetensors", bytes(8))) not in \
            whole["checkpoint-8.safetensors"]:
        return "the resumed run ends with other bytes"
    return f"a killed save's files stay: {hidden}" if hidden else ""


def loop(scratch, args, start, whole, kind, stride, after):
    """Returns number of faults and the first problem."""
    directory = os.path.join(scratch, "x")

    def fresh():
        shutil.rmtree(directory, ignore_errors=True)
        if start:
            shutil.copytree(start, directory)
        else:
            os.mkdir(directory)

    fresh()
    names = calls(directory, args)
    for at in range(1, len(names) + 1, stride):
        fresh()
        done = run(directory, args, kind, at)
        problem = outcome_problem(done, kind, names[at - 1]) or \
            folder_problem(directory, whole, kind, start is not None) or \
            (after and goes_on_problem(directory, whole))
        if problem:
            return len(names), f"{kind} at call {at} of {len(names)} ({names[at - 1]}): {problem}"
    return len(names), ""


def main():
    if len(sys.argv) > 3:
        print("1..0 # SKIP a sanitizer's library must be the first one, not the shim")
        return 0
    slow = "DLHOST_TEST_SLOW" in os.environ
    failed = number = 0
    with tempfile.TemporaryDirectory(prefix="dlhost-faults-") as scratch:
        whole, first = prepare(scratch)
        for name, args, start, after in (("run", FIRST, None, True), ("resume", SECOND, first, True),
                                         ("load", LOAD, first, False)):
            for kind, stride in KINDS.items():
                number += 1
                n, problem = loop(scratch, args, start, whole, kind, 1 if slow else stride, after)
                failed += bool(problem)
                print(f"{'not ' if problem else ''}ok {number} /faults/{name}/{kind}-at-each-call",
                      flush=True)
                print(f"# {n} calls{': ' + problem if problem else ''}", flush=True)
    print(f"1..{number}")
    return failed > 0


sys.exit(main())
