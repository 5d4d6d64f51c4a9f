# SPDX-License-Identifier: MIT
"""Averages of parameters through the program: evaluate, disentangle, likelihood and likelihood_scan
score them, and say so. The oracle is a checkpoint into which this script has put them.
Usage: test-average-run.py DLHOST"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import tap

DLHOST = os.path.abspath(sys.argv[1])
DIR = pathlib.Path(tempfile.mkdtemp())
VAE = ("--model=vae,latents=2,encoder=[8],decoder=[8] --threads=1 "
       "--dataset=synthetic,kind=images,size=6,n=60,test=9").split()
AIS = ["--sampler=ais,temperatures=6", "--task.examples=4", "--task.chains=3"]
SCORED = "the averages of the parameters over 30 steps are scored; average=false"
TASKS = {
    "evaluate": ["--task=evaluate", "--task.images=0"],
    "disentangle": ["--task=disentangle", "--task.samples=100", "--task.traversals=0"],
    "likelihood": ["--task=likelihood", *AIS, "--task.simulated=2", "--task.batch=2",
                   "--task.pictures=0"],
}


def run(*args, code=0):
    done = subprocess.run([DLHOST, *args], cwd=DIR, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}"
    return done.stdout


def final(folder):
    last = json.loads((DIR / folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "final", last
    return {name: value for name, value in last.items() if name not in ("wall", "cpu")}


def substitute(source, target):
    """The parameters' averages under the parameters' names, and no average."""
    data = (DIR / source).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__")
    tensors = {}
    for name, one in header.items():
        first, last = one["data_offsets"]
        tensors[name] = (one["dtype"], one["shape"], data[8 + size + first:8 + size + last])
    averages = {name[len("average/"):]: tensor for name, tensor in tensors.items()
                if name.startswith("average/")}
    assert len(averages) == 10, sorted(averages)
    assert all(tensors[name] != tensor for name, tensor in averages.items())
    kept = {name: tensor for name, tensor in {**tensors, **averages}.items()
            if not name.startswith("average/") and name != "train/averaged"}
    header, body = {}, b""
    for name in sorted(kept):
        dtype, shape, content = kept[name]
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (DIR / target).write_bytes(len(text).to_bytes(8, "little") + text + body)


def every_task():
    for name, task in TASKS.items():
        for file, average in (("substituted", "auto"), ("trained", "auto"), ("trained", "true"),
                              ("trained", "false")):
            text = run(*task, *VAE, f"--checkpoint={file}.safetensors", f"--task.average={average}",
                       f"--out={name}-{file}-{average}")
            assert (SCORED in text) == (file == "trained" and average != "false"), text
            assert ("the last values of the parameters are scored" in text) == (average == "false")
        want = final(f"{name}-substituted-auto")
        for average in ("auto", "true"):
            got = final(f"{name}-trained-{average}")
            assert got == want, (name, got, want)
        assert final(f"{name}-trained-false") != want, name


def as_training_says():
    """The last evaluation of the training itself has the averages."""
    got, want = final("evaluate-trained-auto"), final("trained")
    assert got["test/loss"] == want["test/loss"], (got, want)


def scan():
    options = ["--task=likelihood_scan", *VAE, *AIS, "--task.splits=test"]
    for file, average in (("substituted", "auto"), ("trained", "auto"), ("trained", "false")):
        text = run(*options, f"--task.checkpoints={file}.safetensors", f"--task.average={average}",
                   f"--out=scan-{file}-{average}")
        assert text.count(SCORED) == (file == "trained" and average == "auto"), text
    assert final("scan-trained-auto") == final("scan-substituted-auto")
    assert final("scan-trained-false") != final("scan-substituted-auto")


def resumed():
    """A task that goes on from a checkpoint of its own takes the averages once."""
    task = [*TASKS["likelihood"], *VAE, "--checkpoint=trained.safetensors", "--task.checkpoint=3"]
    run(*task, "--out=whole")
    shutil.copytree(DIR / "whole", DIR / "part")
    # Two are kept; the last has nothing more to do.
    steps = sorted(int(file.stem.split("-")[1]) for file in (DIR / "part").glob("checkpoint-*"))
    assert len(steps) == 2, steps
    (DIR / "part" / f"checkpoint-{steps[1]}.safetensors").unlink()
    assert SCORED in run("resume", "part")
    assert final("part") == final("whole")


def none():
    for name, task in TASKS.items():
        text = run(*task, *VAE, "--checkpoint=substituted.safetensors", "--task.average=true",
                   f"--out={name}-none", code=4)
        assert f"{name}: average=true: there are no averages" in text, text


TESTS = [
    ("/average-run/tasks/as-substituted", every_task),
    ("/average-run/evaluate/as-training-says", as_training_says),
    ("/average-run/scan/as-substituted", scan),
    ("/average-run/resume/taken-once", resumed),
    ("/average-run/none/is-refused", none),
]


def main():
    run("--optimizer=adam,lr=0.01", *VAE, "--steps=30", "--batch=20", "--task.average=0.9",
        "--out=trained")
    shutil.copy(DIR / "trained" / "checkpoint-30.safetensors", DIR / "trained.safetensors")
    substitute("trained.safetensors", "substituted.safetensors")
    failed = tap.run_all(TESTS)
    shutil.rmtree(DIR, ignore_errors=True)
    sys.exit(failed > 0)


main()
