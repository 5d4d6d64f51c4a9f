# SPDX-License-Identifier: MIT
"""The task disentangle through the program: records, table and pictures agree; batches do not matter;
what cannot be scored is said.
Usage: test-disentangle-run.py DLHOST"""
import csv
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import tap

DLHOST = os.path.abspath(sys.argv[1])
DIR = pathlib.Path(tempfile.mkdtemp())
GRID = "dsprites,shapes=heart,scale_step=2,orientation_step=20,position_step=8,test=10"
MODEL = ["--model=vae,latents=3,encoder=[16],decoder=[16]", "--threads=1"]
DATA = f"--dataset={GRID}"
CHECKPOINT = "--checkpoint=trained/checkpoint-60.safetensors"
QUICK = ["--task.cases=300", "--task.test_cases=100", "--task.group=8", "--task.samples=500"]
SCORE = ["--task=disentangle", *MODEL, CHECKPOINT, *QUICK]
# 1 shape, 3 scales, 2 orientations, 4 x 4 positions.
COUNTS = {"scale": 3, "orientation": 2, "position_x": 4, "position_y": 4}


def run(*args, code=0):
    """Runs dlhost; its exit code must be @code. Returns what it said."""
    done = subprocess.run([DLHOST, *args], cwd=DIR, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}"
    return done.stdout


def final(folder):
    lines = (DIR / folder / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["event"] == "final", last
    return {name.split("/")[1]: value for name, value in last.items() if "/" in name}


def table(folder):
    with open(DIR / folder / "disentangle.csv", newline="") as file:
        return list(csv.DictReader(file))


def agree(got, want, tolerance=1e-7):
    assert abs(got - want) <= tolerance * max(1, abs(want)), (got, want)


def numbers_agree():
    text = run(*SCORE, DATA, "--task.estimator=both", "--out=scored")
    # The step is the model's, as that of evaluate is.
    assert "\nfinal  step 60  " in "\n" + text, text
    found, rows = final("scored"), table("scored")
    assert len(rows) == 3, rows
    gaps = {}
    for name, count in COUNTS.items():
        mi = sorted((max(float(row[name]), 0) for row in rows), reverse=True)
        gaps[name] = (mi[0] - mi[1]) / math.log(count)
        agree(found["mig_" + name], gaps[name])
    # One shape: it has no entropy, and is a nuisance where there are more.
    assert "mig_shape" not in found, found
    agree(found["mig"], sum(gaps.values()) / 4)
    agree(found["elbo"], found["log_likelihood"] - found["kl"])
    agree(found["kl"], sum(float(row["kl"]) for row in rows))
    agree(found["kl"], found["mutual_information"] + found["total_correlation"] +
          found["dimension_kl"])
    assert found["active"] == sum(float(row["variance"]) > 0.01 for row in rows), found
    for name in ("sap", "dci_disentanglement", "dci_completeness", "dci_informativeness",
                 "factor_vae_score", "beta_vae_score"):
        assert 0 <= found[name] <= 1, (name, found[name])
    # 96 draws of z stand for all: rough.
    assert abs(found["mig"] - found["mig_sampled"]) < 0.2, found


def pictures_are_drawn():
    folder = DIR / "scored"
    for name in ("traversals-0.png", "responses-0.png"):
        assert (folder / "images" / name).stat().st_size > 100, name
    for name in ("information", *("response-" + factor for factor in COUNTS)):
        assert (folder / "figures" / f"{name}.svg").is_file(), name
    curves = json.loads((folder / "figures" / "response-position_y.json").read_text())["curves"]
    assert len(curves[0]["x"]) == 4, curves[0]
    run("report", "scored")


def batches_do_not_matter():
    run(*SCORE, DATA, "--task.batch=7", "--dtype=f32", "--out=by-7")
    for one, other in zip(table("scored"), table("by-7")):
        for name, value in one.items():
            agree(float(value), float(other[name]), 1e-4)
    agree(final("scored")["elbo"], final("by-7")["elbo"], 1e-4)


def batch_statistics_do_not_matter():
    """A net with batch normalisation is encoded by its running statistics."""
    model = ["--model=beta_tcvae,network=conv,latents=3", "--threads=1", DATA]
    run("--optimizer=adam", *model, "--steps=2", "--task.batch=32", "--out=normalised")
    for batch in ("7", "96"):
        run("--task=disentangle", *model, *QUICK, "--task.scores=false", "--task.traversals=0",
            "--checkpoint=normalised/checkpoint-2.safetensors", f"--task.batch={batch}",
            f"--out=normalised-{batch}")
    for one, other in zip(table("normalised-7"), table("normalised-96")):
        for name in ("deviation", "kl"):
            agree(float(one[name]), float(other[name]), 1e-4)
    agree(final("normalised-7")["elbo"], final("normalised-96")["elbo"], 1e-4)


def training_draws_by_weight():
    """Other examples come, and a constant weight leaves all as it is."""
    losses = []
    for number, data in enumerate((DATA, f"{DATA},distribution=uniform",
                                   f"{DATA},distribution=dependent")):
        run("--optimizer=adam", *MODEL, data, "--steps=2", "--task.batch=32", "--task.log=1",
            f"--out=drawn-{number}")
        lines = (DIR / f"drawn-{number}" / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line).get("train/loss") for line in lines])
    assert losses[0] == losses[1] != losses[2], losses


def weights_count():
    """Of pictures that are not equally probable other numbers come out, and factors lose entropy."""
    run(*SCORE, f"{DATA},distribution=both,over=x-y", "--out=weighted")
    assert abs(final("weighted")["elbo"] - final("scored")["elbo"]) > 1e-3
    assert abs(final("weighted")["mig"] - final("scored")["mig"]) > 1e-6


def other_data():
    """Without factors there is the divergence alone."""
    data = "--dataset=synthetic,kind=images,size=6,n=40,test=9"
    run("--optimizer=adam", *MODEL, data, "--steps=5", "--out=plain")
    text = run("--task=disentangle", *MODEL, data, *QUICK,
               "--checkpoint=plain/checkpoint-5.safetensors", "--out=plain-scored")
    assert "only the divergence is looked at" in text, text
    found = final("plain-scored")
    assert "mig" not in found and "total_correlation" in found, found


def noisy_weights():
    """A perturbed model under another objective is a latent model still."""
    noisy = [*MODEL, "--perturb=flipout", "--objective=elbo", DATA]
    run("--optimizer=adam", *noisy, "--steps=5", "--out=noisy")
    checkpoint = "--checkpoint=noisy/checkpoint-5.safetensors"
    run("--task=disentangle", *noisy, *QUICK, checkpoint, "--out=noisy-scored")
    # Its mean weights are the plain model's.
    run("--task=disentangle", *MODEL, DATA, *QUICK, checkpoint, "--out=noisy-plain")
    assert final("noisy-scored") == final("noisy-plain")
    ais = ["--sampler=ais,temperatures=5", "--task.examples=2", "--task.chains=2"]
    run("--task=likelihood", *noisy, *ais, "--task.simulated=2", checkpoint, "--out=noisy-likely")
    scan = ["--task=likelihood_scan", *noisy, *ais, "--task.checkpoints=noisy",
            "--task.splits=test"]
    run(*scan, "--out=noisy-scan")
    text = run(*scan, "--task.vary=variance", "--task.values=[0.1,1]", "--out=noisy-varied", code=2)
    assert "'vary' makes the model anew" in text, text
    sample = ["--task=sample", "--sampler=hmc", "--model=mlp,hidden=[]", "--threads=1",
              "--dataset=synthetic,n=20,test=9", "--task.draws=4", "--task.warmup=4",
              "--perturb=flipout,noise=fixed"]
    run(*sample, "--out=noisy-draws")
    text = run(*sample, "--objective=elbo", "--out=no-draws", code=2)
    assert "--objective=elbo changes the loss of training" in text, text


LONG = [*[s for s in SCORE if "samples" not in s], DATA.replace("position_step=8", "position_step=4"),
        "--task.estimator=both", "--task.samples=3000", "--task.batch=50", "--task.checkpoint=0"]


def wait_for_checkpoint(process, folder, above):
    """The number of a checkpoint above @above, or of the last one when the run has ended."""
    begun = time.monotonic()
    while True:
        ended = process.poll() is not None
        steps = [int(p.stem.split("-")[1]) for p in (DIR / folder).glob("checkpoint-*.safetensors")]
        if ended or (steps and max(steps) > above):
            return max(steps)
        assert time.monotonic() - begun < 60, "it wrote no checkpoint"
        time.sleep(0.002)


def killed_runs_go_on():
    """Killed again and again, it ends with the bytes of a run that was left alone."""
    run(*LONG, "--out=whole")
    args, at, kills = [*LONG, "--out=killed"], -1, set()
    while True:
        process = subprocess.Popen([DLHOST, *args], cwd=DIR, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Not at every step: each stage is hit.
        at = wait_for_checkpoint(process, "killed", at + 60 if len(kills) < 12 else 10**6)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills.add(at)
        args = ["resume", "killed"]
    assert process.returncode == 0 and len(kills) > 4, (process.returncode, kills)
    assert final("whole") == final("killed")
    for name in ("disentangle.csv", "images/traversals-0.png", "images/responses-0.png",
                 "figures/information.json", "figures/response-scale.json"):
        assert (DIR / "whole" / name).read_bytes() == (DIR / "killed" / name).read_bytes(), name


def nothing_kept_back():
    """Without test examples those of the training are scored at the end, as evaluate does."""
    data = DATA.replace("test=10", "test=0")
    text = run("--optimizer=adam", *MODEL, data, "--steps=5", "--out=no-test")
    assert "train/loss" in text.split("final")[1], text
    run("--task=evaluate", *MODEL, data, "--task.split=train",
        "--checkpoint=no-test/checkpoint-5.safetensors", "--out=no-test-scored")
    agree(final("no-test")["loss"], final("no-test-scored")["loss"], 1e-5)
    text = run("--task=evaluate", *MODEL, data, "--out=no-split", code=2)
    assert "the data set has no 'test' split: give split=train\n" in text, text


def stops():
    """A long run ends at the first signal, and says how to go on."""
    process = subprocess.Popen([DLHOST, *[s.replace("=3000", "=100000") for s in LONG], "--out=stopped"], cwd=DIR,
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    at = wait_for_checkpoint(process, "stopped", -1)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and "go on with: dlhost resume stopped" in text, (process.returncode, text)
    assert wait_for_checkpoint(process, "stopped", 0) >= at


def refusals():
    rest = [s for s in SCORE if s != CHECKPOINT]
    text = run(*rest, DATA, "--out=no1", code=2)
    assert "no trained checkpoint is given: give --checkpoint=FILE, or --task.untrained=true" in text
    text = run(*SCORE, DATA, "--task.split=valid", "--out=no2", code=2)
    assert "the data set has no 'valid' split" in text, text
    text = run("--task=disentangle", "--model=mlp", DATA, "--out=no3", code=2)
    assert "'mlp' has no encoder of latent variables" in text, text
    text = run(*rest, "--task.untrained=true", "--dataset=text,file=none", "--out=no4", code=2)
    assert text.startswith("dlhost: "), text
    run(*rest, DATA, "--task.untrained=true", "--out=first-values")


TESTS = [
    ("/disentangle-run/numbers/agree", numbers_agree),
    ("/disentangle-run/pictures/are-drawn", pictures_are_drawn),
    ("/disentangle-run/batches/do-not-matter", batches_do_not_matter),
    ("/disentangle-run/batch-statistics/do-not-matter", batch_statistics_do_not_matter),
    ("/disentangle-run/weights/count", weights_count),
    ("/disentangle-run/weights/train", training_draws_by_weight),
    ("/disentangle-run/other-data/divergence-alone", other_data),
    ("/disentangle-run/noisy-weights/latent-still", noisy_weights),
    ("/disentangle-run/killed/same-bytes", killed_runs_go_on),
    ("/disentangle-run/no-test/training-is-scored", nothing_kept_back),
    ("/disentangle-run/interrupt/stops", stops),
    ("/disentangle-run/refusals/say-what-to-give", refusals),
]


def main():
    run("--optimizer=adam", *MODEL, DATA, "--steps=60", "--task.batch=32", "--out=trained")
    failed = tap.run_all(TESTS)
    shutil.rmtree(DIR, ignore_errors=True)
    sys.exit(failed > 0)


main()
