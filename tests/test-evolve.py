# SPDX-License-Identifier: MIT
"""The task evolve through the program: cart and pole are learned; stopped, killed and resumed runs give
the bytes of those left alone; what does not fit is refused. Usage: test-evolve.py DLHOST"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import tap

DLHOST = os.path.abspath(sys.argv[1])
DIR = pathlib.Path(tempfile.mkdtemp())
EVOLVE = "--task=evolve --environment=cartpole --threads=1".split()
MODEL = "--model=mlp,hidden=[16]"
FLIPES = "--optimizer=flipes,members=10,workers=2,sigma=0.1,lr=0.1"
LIMIT = 60  # seconds until a run that writes nothing counts as hung


def run(*args, code=0):
    """Runs dlhost; its exit code must be @code. Returns what it said."""
    done = subprocess.run([DLHOST, *args], cwd=DIR, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=LIMIT)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}"
    return done.stdout


def records(folder):
    """The metrics of a run but for the time that it took."""
    lines = (DIR / folder / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [{k: v for k, v in one.items() if k not in ("wall", "cpu")} for one in found]


def learned():
    """From some 10 steps upright to 400 and more, by the target; what is logged fits together."""
    text = run(*EVOLVE, MODEL, FLIPES, "--task.steps=60", "--task.evaluate=5", "--task.target=400",
               "--task.episodes=2", "--out=learned")
    assert "the target is reached" in text, text
    said = records("learned")
    tests = [one for one in said if one["event"] == "eval"]
    assert tests[0]["step"] == 0 and tests[0]["test/return"] < 50, tests[0]
    assert tests[-1]["test/return"] >= 400 and tests[-2]["test/return"] < 400, tests
    assert {**tests[-1], "event": "final"} == said[-1], said[-1]
    steps = [one for one in said if one["event"] == "step"]
    assert [one["step"] for one in steps] == list(range(1, len(steps) + 1))
    played = 0
    for one in steps:
        # A reward of 1 a step: returns are lengths; 40 candidates play 2 episodes each.
        assert abs(one["train/return"] - one["train/length"]) < 1e-9, one
        assert one["train/return_max"] >= one["train/return"], one
        played += 80 * one["train/length"]
        assert abs(one["train/environment_steps"] - played) < 1e-6 * played, one


def begin(folder, *args):
    return subprocess.Popen([DLHOST, *EVOLVE, MODEL, FLIPES, *args, f"--out={folder}"], cwd=DIR, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def goes_on(number):
    """Stopped or killed in the middle of an update, most likely: then that update is done again."""
    name = signal.Signals(number).name
    process = begin(name, *LONG)
    metrics, begun = DIR / name / "metrics.jsonl", time.monotonic()
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < 12:
        assert time.monotonic() - begun < LIMIT and process.poll() is None, "it recorded nothing"
        time.sleep(0.001)
    process.send_signal(number)
    text, _ = process.communicate(timeout=LIMIT)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL, text
    else:
        assert process.returncode == 128 + number, text
        assert "stopped at update" in text and f"dlhost resume {name}" in text, text
    run("resume", name)
    file = "checkpoint-24.safetensors"
    assert (DIR / name / file).read_bytes() == (DIR / "whole" / file).read_bytes()
    got, want = records(name), records("whole")
    assert got == want, next(pair for pair in zip(got, want) if pair[0] != pair[1])


LONG = ["--task.steps=24", "--task.evaluate=4", "--task.checkpoint=3", "--task.episodes=2",
        "--task.schedule=cosine", "--task.length=150"]


def interrupt_and_resume():
    goes_on(signal.SIGINT)


def kill_and_resume():
    goes_on(signal.SIGKILL)


def goes_further():
    """A finished run that is given more updates, and a checkpoint that is only scored."""
    text = run("resume", "whole", "--task.steps=24")
    assert "nothing left to do: update 24 of 24" in text, text
    run(*EVOLVE, MODEL, FLIPES, "--checkpoint=whole/checkpoint-24.safetensors", "--task.steps=1",
        "--task.length=150", "--out=scored")
    assert records("scored")[-1]["test/return"] == records("whole")[-1]["test/return"]


def episodes_are_shared():
    """The first evaluation is of the same parameters in the same episodes, whatever the optimizer."""
    first = []
    for i, optimizer in enumerate(("es,members=3,sigma=0.1", "es,perturbation=shared,workers=3",
                                   "flipes,members=4,workers=2")):
        run(*EVOLVE, MODEL, f"--optimizer={optimizer}", "--task.steps=1", "--task.episodes=1",
            f"--out=first{i}")
        first.append(next(one for one in records(f"first{i}") if one["event"] == "eval"))
    assert first[0] == first[1] == first[2], first


def put(source, target, name, values):
    """The checkpoint @source with other numbers in its f64 variable @name."""
    data = (DIR / source).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8:8 + size]), bytearray(data[8 + size:])
    header.pop("__metadata__")  # it has a checksum of the contents
    first, last = header[name]["data_offsets"]
    assert header[name]["dtype"] == "F64" and last - first == 8 * len(values), header[name]
    struct.pack_into(f"<{len(values)}d", body, first, *values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (DIR / target).write_bytes(struct.pack("<Q", len(text)) + text + body)


def likeliest():
    """A policy by hand, which pushes to the side that the pole falls to, is the one that is played; its
    opposite fails."""
    linear = [*EVOLVE, "--model=mlp,hidden=[]", "--dtype=f64", "--task.steps=1"]
    run(*linear, "--optimizer=flipes,members=2,lr=0", "--out=hand")
    returns = []
    for sign in (1, -1):
        columns = [sign * value for value in (0.1, 0.2, 1, 1)]
        put("hand/checkpoint-1.safetensors", "hand.safetensors", "mlp/output/weight",
            [one for value in columns for one in (-value, value)])
        text = run(*linear, "--optimizer=flipes,members=2", "--checkpoint=hand.safetensors", f"--out=hand{sign}")
        assert "nothing left to do" in text, text
        returns.append(records(f"hand{sign}")[-1]["test/return"])
    assert returns[0] > 90 and returns[1] < 15, returns


def episodes_by_update():
    """Candidates that are nearly the parameters, which stay: all play the same episodes, others in the
    next update, and as many as are asked for."""
    still = "--optimizer=flipes,members=4,sigma=1e-9,lr=0,step=sgd,shaping=none"
    seen = {}
    for episodes in (1, 3):
        run(*EVOLVE, MODEL, still, "--dtype=f64", "--task.steps=6", "--task.evaluate=1", "--seed=5",
            f"--task.episodes={episodes}", f"--out=still{episodes}")
        said = records(f"still{episodes}")
        steps = [one for one in said if one["event"] == "step"]
        seen[episodes] = [one["train/return"] for one in steps]
        assert all(abs(one["train/return"] - one["train/return_max"]) < 1e-9 for one in steps), steps
        assert len(set(seen[episodes])) > 2, steps
        tests = [one["test/return"] for one in said if one["event"] != "step"]
        assert len(tests) == 7 and len(set(tests)) == 1, tests
    assert seen[1] != seen[3] and all(value == int(value) for value in seen[1]), seen
    assert all(abs(3 * value - round(3 * value)) < 1e-6 for value in seen[3]), seen


def refused():
    some = [*EVOLVE, "--task.steps=1", "--quiet", "--out=refused"]
    for args, said in (
            ([MODEL, FLIPES], None),
            ([MODEL, "--optimizer=adam"], "there are only rewards"),
            (["--model=lstm", FLIPES], "lstm: "),
            (["--model=vae", FLIPES], "evolve: the model predicts [20,4], actions need [20,2]"),
            (["--model=density", FLIPES], "does not offer the supervised role"),
            ([FLIPES], "needs a plugin of kind model: give --model=NAME"),
            ([MODEL], "needs a plugin of kind optimizer: give --optimizer=NAME"),
            ([MODEL, FLIPES, "--environment.steps=0"], "cartpole: 'steps' is 0, must be"),
            ([MODEL, FLIPES, "--task.episodes=0"], "evolve: 'episodes' is 0, must be"),
    ):
        shutil.rmtree(DIR / "refused", ignore_errors=True)
        done = subprocess.run([DLHOST, *some, *args], cwd=DIR, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=LIMIT)
        assert (done.returncode == 0) == (said is None), f"{args}: {done.returncode}: {done.stdout}"
        if said:
            assert said in done.stdout and done.stdout.count("\n") == 1, f"{args}: {done.stdout}"
    text = run("--task=evolve", "--environment=cartpool", MODEL, FLIPES, "--quiet", code=3)
    assert "did you mean 'cartpole'?" in text, text
    text = run("--task=evolve", MODEL, FLIPES, "--quiet", code=2)
    assert "needs a plugin of kind environment: give --environment=NAME" in text, text


TESTS = [
    ("/evolve/cartpole/learned", learned),
    ("/evolve/interrupt/same-bytes-resumed", interrupt_and_resume),
    ("/evolve/kill/same-bytes-resumed", kill_and_resume),
    ("/evolve/checkpoint/scored", goes_further),
    ("/evolve/optimizers/same-episodes", episodes_are_shared),
    ("/evolve/policy/likeliest-action", likeliest),
    ("/evolve/updates/episodes-of-their-own", episodes_by_update),
    ("/evolve/misfits/refused", refused),
]


def main():
    run(*EVOLVE, MODEL, FLIPES, *LONG, "--out=whole")
    failed = tap.run_all(TESTS)
    shutil.rmtree(DIR, ignore_errors=True)
    sys.exit(failed > 0)


main()
