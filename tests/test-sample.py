# SPDX-License-Identifier: MIT
"""The task sample through the program: stopped, killed and resumed runs give the bytes of those left
alone; strict; the two formats of draws. Usage: test-sample.py DLHOST"""
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
SAMPLE = ("--task=sample --sampler=hmc --model=density,dims=3 --threads=1 --task.log=10 "
          "--task.show=2").split()
WARMUP = 200
LIMIT = 60  # seconds until a run that writes nothing counts as hung


def run(*args, code=0):
    """Runs dlhost; its exit code must be @code. Returns what it said."""
    done = subprocess.run([DLHOST, *args], cwd=DIR, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}"
    return done.stdout


def records(folder):
    """The metrics of a run but for the time that it took, a resumed record once."""
    lines = (DIR / folder / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [{k: v for k, v in one.items() if k not in ("wall", "cpu")} for one in found]


def safetensors(path):
    """Names to (shape, bytes)."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (tuple(entry["shape"]),
                   data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items()}


def same_bytes(folder, other, *names):
    for name in names:
        assert (DIR / folder / name).read_bytes() == (DIR / other / name).read_bytes(), name


def many(draws):
    return f"--task.warmup={WARMUP}", f"--task.draws={draws}", "--task.checkpoint=50"


def interrupted(folder, number, draws):
    """Starts a run and sends signal @number once it has recorded something. Its exit code, text."""
    process = subprocess.Popen([DLHOST, *SAMPLE, *many(draws), f"--out={folder}"], cwd=DIR, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    metrics, begun = DIR / folder / "metrics.jsonl", time.monotonic()
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < 8:
        assert time.monotonic() - begun < LIMIT and process.poll() is None, "it recorded nothing"
        time.sleep(0.001)
    process.send_signal(number)
    text, _ = process.communicate(timeout=LIMIT)
    return process.returncode, text


def goes_on(number):
    draws = 3000
    name = signal.Signals(number).name
    run(*SAMPLE, *many(draws), f"--out=whole-{name}")
    code, text = interrupted(name, number, draws)
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL, code
    else:
        assert code == 128 + number, f"{code}: {text}"
        assert "stopped at transition" in text and f"dlhost resume {name}" in text, text
    assert not (DIR / name / "draws.safetensors").exists()
    run("resume", name)
    total = WARMUP + draws
    same_bytes(name, f"whole-{name}", f"checkpoint-{total}.safetensors", "draws.safetensors")
    got, want = records(name), records(f"whole-{name}")
    assert got == want, next(pair for pair in zip(got, want) if pair[0] != pair[1])


def interrupt_and_resume():
    goes_on(signal.SIGINT)


def kill_and_resume():
    goes_on(signal.SIGKILL)


def strict_refuses():
    few = [*SAMPLE, "--task.draws=20", "--task.warmup=5"]
    text = run(*few, "--out=lenient")
    assert "\nthe draws are not to be believed; " in text, text
    text = run(*few, "--task.strict=true", "--out=strict", code=5)
    last = text.splitlines()[-1]
    assert last.startswith("dlhost: the draws are not to be believed; R-hat reaches "), text
    assert last.endswith(": give more warm-up and draws, or another sampler"), text
    # What was drawn is there to be looked at all the same.
    same_bytes("strict", "lenient", "draws.safetensors")


def strict_refuses_two_modes():
    """Chains that stay in the one of two modes where they began are not to be believed."""
    modes = [s.replace("dims=3", "kind=mixture,dims=2,components=2,radius=20,start=20") for s in SAMPLE]
    text = run(*modes, "--task.draws=1000", "--task.warmup=300", "--task.strict=true", "--seed=4", "--out=modes", code=5)
    final = records("modes")[-1]
    assert final["event"] == "final" and final["sample/rhat"] > 1.5, final
    assert "R-hat reaches " in text.splitlines()[-1], text


def strict_passes():
    text = run(*SAMPLE, "--task.draws=1000", "--task.strict=true", "--out=good")
    assert "no sign against the draws" in text, text
    final = records("good")[-1]
    assert final["event"] == "final" and final["sample/draws"] == 4000, final
    assert final["sample/rhat"] <= 1.01 and final["sample/divergences"] == 0, final


def npz_holds_the_same():
    try:
        import numpy
    except ImportError:
        return "numpy is not installed"
    few = [*SAMPLE, "--task.draws=30", "--task.thin=2", "--task.chains=3"]
    run(*few, "--out=tensors")
    run(*few, "--task.format=npz", "--out=arrays")
    assert not (DIR / "arrays" / "draws.safetensors").exists()
    want = safetensors(DIR / "tensors" / "draws.safetensors")
    got = numpy.load(DIR / "arrays" / "draws.npz")
    assert sorted(got.files) == sorted(want), (got.files, sorted(want))
    assert got["x"].shape == (30, 3, 3) and got["x"].dtype == numpy.float32, got["x"].shape
    for name, (shape, data) in want.items():
        assert got[name].shape == shape and got[name].tobytes() == data, name
    return None


TESTS = [
    ("/sample/interrupt/resumes-with-equal-bytes", interrupt_and_resume),
    ("/sample/kill/resumes-with-equal-bytes", kill_and_resume),
    ("/sample/strict/refuses-few-draws", strict_refuses),
    ("/sample/strict/refuses-two-modes", strict_refuses_two_modes),
    ("/sample/strict/passes-good-draws", strict_passes),
    ("/sample/format/npz-as-safetensors", npz_holds_the_same),
]


def main():
    failed = tap.run_all(TESTS)
    shutil.rmtree(DIR, ignore_errors=True)
    sys.exit(failed > 0)


main()
