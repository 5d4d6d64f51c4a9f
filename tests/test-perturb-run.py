# SPDX-License-Identifier: MIT
"""Perturbed weights through the program: with every optimizer, resumed to the same bytes, swept and
reported. Usage: test-perturb-run.py DLHOST"""
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
SHORT = "--model=mlp,hidden=[8] --dataset=synthetic,n=64,test=32 --batch=16 --threads=1".split()


def run(*args, code=0):
    done = subprocess.run([DLHOST, *args], cwd=DIR, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}"
    return done.stdout


def every_optimizer():
    for name in ("sgd", "adam", "aggmo", "kfac"):
        for perturb in ("flipout", "flipout,noise=dropconnect", "shared,noise=multiplicative"):
            text = run(*SHORT, "--steps=6", f"--optimizer={name}", f"--perturb={perturb}")
            assert "final" in text, text
            if name == "kfac":
                assert "hidden1/weight: linear, Kronecker factors" in text, text


def resumed_to_the_same_bytes():
    options = [*SHORT, "--optimizer=adam", "--perturb=flipout,samples=2", "--objective=elbo,anneal=20",
               "--task.schedule=constant"]
    run(*options, "--steps=12", "--out=whole")
    run(*options, "--steps=7", "--out=parts")
    run("resume", "parts", "--steps=12")
    name = "checkpoint-12.safetensors"
    whole, parts = (safetensors(DIR / folder / name) for folder in ("whole", "parts"))
    # The first part's last evaluation has drawn from streams of its own, and from no other.
    differ = [key for key in whole if whole[key] != parts[key]]
    assert all("evaluate/" in key or key.startswith("train/") for key in differ), differ
    assert any(key.startswith("random/perturb/") for key in whole)


def safetensors(path):
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: data[8 + size + one["data_offsets"][0]:8 + size + one["data_offsets"][1]]
            for name, one in header.items()}


def evaluated_both_ways():
    text = run(*SHORT, "--task=evaluate", "--checkpoint=whole/checkpoint-12.safetensors",
               "--perturb=flipout,samples=4", "--objective=elbo")
    for name in ("test/loss", "test/averaged_nll", "test/averaged_accuracy", "test/ece",
                 "test/averaged_ece", "test/weights_kl"):
        assert name in text, (name, text)


def sequences_count_their_targets():
    """The divergence is divided by the targets of all training text, 40 letters, not by its rows."""
    (DIR / "train.txt").write_text("abcdabdc" * 5 + "a")
    run("--model=lstm,hidden=3,embedding=2", "--dataset=text,dir=.,train=train.txt,valid=,test=,level=char,"
        "line_end=false,seq_len=5,lanes=2", "--optimizer=sgd", "--perturb=flipout", "--objective=elbo", "--steps=1",
        "--task.log=1", "--threads=1", "--out=letters")
    lines = map(json.loads, (DIR / "letters" / "metrics.jsonl").read_text().splitlines())
    one = next(line for line in lines if line.get("event") == "step")
    want = one["train/nll"] + one["train/weights_kl"] / 40
    assert abs(one["train/loss"] - want) < 1e-5 * want, (one, want)


def swept_and_reported():
    run("sweep", *SHORT, "--optimizer=sgd", "--perturb.noise=multiplicative",
        "--grid=perturb.sigma=[0.1,1]", "--grid=perturb=[flipout,shared]", "--steps=4",
        "--out=grid")
    assert len(list((DIR / "grid").glob("**/metrics.jsonl"))) == 4
    run("report", "whole", "parts", "--out=page")
    assert "flipout" in "".join(
        page.read_text() for page in (DIR / "page").glob("*.html"))


def needs_a_model():
    text = run("--optimizer=sgd", "--perturb=flipout", "--dataset=synthetic", code=2)
    assert "changes a model, and there is none" in text, text


TESTS = [
    ("/perturb-run/optimizers/all", every_optimizer),
    ("/perturb-run/resume/same-bytes", resumed_to_the_same_bytes),
    ("/perturb-run/evaluate/both-ways", evaluated_both_ways),
    ("/perturb-run/elbo/sequences-count-their-targets", sequences_count_their_targets),
    ("/perturb-run/sweep/reported", swept_and_reported),
    ("/perturb-run/model/needed", needs_a_model),
]
failed = tap.run_all(TESTS)
shutil.rmtree(DIR)
sys.exit(failed > 0)
