# SPDX-License-Identifier: MIT
"""The task quadratics through the program, as TAP: rates against a published table, plugins against
matrices, eigenvalues against the characteristic equation, paths against loops written here.

usage: check-quadratics.py DLHOST"""
import json
import math
import os
import subprocess
import sys
import tempfile

import tap

PROGRAM = os.path.abspath(sys.argv[1])
results = tap.Results()
curves = {}
metrics = {}


def dlhost(*arguments, code=0):
    done = subprocess.run([PROGRAM, "--task=quadratics", "--threads=1", *arguments], capture_output=True, text=True,
                          check=False)
    assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
    return done.stderr


def read_run(folder):
    for name in ("plane", "steep", "flat", "distance", "rate", "rate-tuned", "stability", "roots"):
        with open(f"{folder}/figures/{name}.json", encoding="utf-8") as file:
            curves[name] = json.load(file)["curves"]
    with open(f"{folder}/metrics.jsonl", encoding="utf-8") as file:
        for line in file:
            metrics.update(json.loads(line))


def curve(figure, label):
    """The line of a method and the circles behind it, which have no label."""
    index = next(i for i, c in enumerate(curves[figure]) if c["label"] == label)
    return curves[figure][index], curves[figure][index + 1] if index + 1 < len(curves[figure]) else None


# Worst spectral radius over curvatures from 1 / condition to 1, step size 1: the sheet's table.
CONDITIONS = [10, 1e2, 1e3, 1e4, 1e5, 1e6]
TABLE = {
    "momentum 0.9": [0.94868330, 0.94868330, 0.98887321, 0.99899082, 0.99989991, 0.99999000],
    "momentum 0.99": [0.99498744, 0.99498744, 0.99498744, 0.99498744, 0.99887444, 0.99989899],
    "Nesterov 0.99": [0.94392796, 0.99000000, 0.99448982, 0.99493769, 0.99887587, 0.99989900],
    "AggMo K=3": [0.95505155, 0.97930538, 0.99316417, 0.99480501, 0.99961673, 0.99996288],
    "best momentum": [0.51949385, 0.81818182, 0.93869314, 0.98019802, 0.99369538, 0.99800200],
}
EDGES = {"momentum 0.9": 3.8, "momentum 0.99": 3.98, "AggMo K=3": 2.9574, "AggMo K=4": 3.1632,
         "Nesterov 0.99": 2 * 1.99 / 2.98, "Nesterov 0.999": 2 * 1.999 / 2.998}


def rates_of_the_table():
    for label, want in TABLE.items():
        line, _ = curve("rate", label)
        for condition, rate in zip(CONDITIONS, want):
            steps = next(y for x, y in zip(line["x"], line["y"]) if abs(x / condition - 1) < 1e-9)
            assert abs(math.exp(-1 / steps) - rate) <= 1e-8, (label, condition, math.exp(-1 / steps))


def running_agrees():
    for label in [name for name in TABLE if name != "best momentum"] + ["momentum 0.999", "Nesterov 0.999", "AggMo K=4"]:
        line, points = curve("rate", label)
        assert points["style"] == "points" and len(points["x"]) == 28
        for x, y in zip(points["x"], points["y"]):
            want = next(b for a, b in zip(line["x"], line["y"]) if abs(a / x - 1) < 1e-9)
            assert abs(math.exp(-1 / y) - math.exp(-1 / want)) <= 1e-4, (label, x, y, want)
        assert metrics[f"apart/{label}"] <= 1e-3, (label, metrics[f"apart/{label}"])


def tuned_is_no_worse():
    for label in TABLE:
        fixed, tuned = curve("rate", label)[0], curve("rate-tuned", label)[0]
        assert all(b <= a * (1 + 1e-9) for a, b in zip(fixed["y"], tuned["y"])), label
        # Nothing beats the best momentum for a known condition.
        if "best" not in label:
            assert all(y >= best for y, best in zip(tuned["y"], curve("rate-tuned", "best momentum")[0]["y"])), label


# Momentum alone: the best step size makes the ends of the spectrum alike, and where both are complex
# the rate is sqrt (beta).
def tuned_momentum():
    line, _ = curve("rate-tuned", "momentum 0.9")
    inside = ((1 + math.sqrt(0.9)) / (1 - math.sqrt(0.9))) ** 2
    for x, y in zip(line["x"], line["y"]):
        if x < 0.9 * inside:
            assert abs(y + 2 / math.log(0.9)) < 1e-6, (x, y)
        elif x > 1.1 * inside:
            assert y > -2.02 / math.log(0.9), (x, y)


def edges():
    for label, want in EDGES.items():
        assert abs(metrics[f"edge/{label}"] - want) < 5e-5, (label, metrics[f"edge/{label}"])
    for label in ("momentum 0.9", "momentum 0.999", "Nesterov 0.999", "AggMo K=4"):
        line, points = curve("stability", label)
        seen = set()
        for part in (line, points):
            for x, y in zip(part["x"], part["y"]):
                if y is not None:
                    assert (y < 1) == (x < metrics[f"edge/{label}"]), (label, x, y)
                    seen.add(y < 1)
        assert seen == {True, False}, label


BETAS = {"momentum 0.9": ([0.9], [1]), "momentum 0.999": ([0.999], [1]),
         "Nesterov 0.999": ([0, 0.999], [2, 1.998]), "AggMo K=4": ([0, 0.9, 0.99, 0.999], [1] * 4)}


def eigenvalues_solve():
    for label, (betas, shares) in BETAS.items():
        roots = curve("roots", label)[0]
        n = len(betas)
        assert len(roots["x"]) == 17 * (n + 1)
        for i, (re, im) in enumerate(zip(roots["x"], roots["y"])):
            x, z = 10 ** (-4 + (i // (n + 1)) / 4), complex(re, im)
            left = (z - 1) * math.prod(z - beta for beta in betas)
            for k, share in enumerate(shares):
                left += share * x * z / n * math.prod(z - beta for j, beta in enumerate(betas) if j != k)
            assert abs(left) < 1e-10, (label, x, z, abs(left))
        # Their sum is the trace of the matrix, 1 - x sum (shares) / n + sum (betas), at x = 1.
        last = [complex(a, b) for a, b in zip(roots["x"][-n - 1:], roots["y"][-n - 1:])]
        assert abs(sum(last) - (1 - sum(shares) / n + sum(betas))) < 1e-12, (label, last)


def loop(label, curvature, steps, lr=0.33):
    theta, path = 1.0, [1.0]
    betas, _ = BETAS[label]
    v = [0.0] * len(betas)
    if label.startswith("Nesterov"):  # the textbook form; the plugin follows its look-ahead points
        own, velocity, beta = 1.0, 0.0, betas[1]
        for _ in range(steps):
            velocity = beta * velocity - curvature * (own + lr * beta * velocity)
            own += lr * velocity
            path.append(own + lr * beta * velocity)
        return path
    for _ in range(steps):
        v = [beta * old - curvature * theta for beta, old in zip(betas, v)]
        theta += lr / len(betas) * sum(v)
        path.append(theta)
    return path


def paths_by_loops():
    for label in BETAS:
        steep, flat = curve("steep", label)[0]["y"], curve("flat", label)[0]["y"]
        for got, want in ((steep, loop(label, 1, 1000)), (flat, loop(label, 1e-4, 1000))):
            worst = max(abs(a - b) for a, b in zip(got, want, strict=True))
            assert worst < 1e-11, (label, worst)
        plane, distance = curve("plane", label)[0], curve("distance", label)[0]["y"]
        assert plane["x"] == flat[:101] and plane["y"] == steep[:101], label
        assert all(abs(d - math.hypot(a, b)) < 1e-14 for d, a, b in zip(distance, steep, flat)), label


# What the paper's first figure shows: beta = 0.999 swings in classical momentum, is damped in AggMo.
def damped_as_in_the_paper():
    def last(label):
        return max(abs(y) for y in curve("steep", label)[0]["y"][200:])
    assert last("momentum 0.999") > 0.5 and last("AggMo K=4") < 0.05, (last("momentum 0.999"), last("AggMo K=4"))


def same_bytes():
    for out in ("one", "two"):
        dlhost(f"--out={out}", "--task.steps=100", "--task.velocities=[2]", "--task.nesterov=[]", "--quiet")
    for name in os.listdir("one/figures"):
        with open(f"one/figures/{name}", "rb") as a, open(f"two/figures/{name}", "rb") as b:
            assert a.read() == b.read(), name


def refusals():
    none = "--task.momentum=[] --task.nesterov=[] --task.velocities=[]".split()
    for arguments, code, words in ((none, 2, "name 0 methods together, must be 1 to 24"),
                                   (["--task.aggmo=nowhere"], 2, "no optimizer 'nowhere'"),
                                   (["--task.momentum=[1]"], 2, "'momentum'"),
                                   (["--task.sgd=adam"], 2, "no option 'momentum'")):
        text = dlhost("--out=refused", "--task.steps=20", "--task.shown=5", "--quiet", *arguments, code=code)
        assert words in text and text.count("\n") == 1, text
        subprocess.run(["rm", "-r", "-f", "refused"], check=True)


def without_data():
    """The data set that is taken when none is named is not even loaded: its plugin may be missing."""
    with open("run/config.json", encoding="utf-8") as file:
        assert "dataset" not in json.load(file)
    here = os.environ["DLHOST_PLUGIN_PATH"].split(":")
    os.mkdir("few")
    for folder in here:
        for name in ("quadratics.so", "sgd.so", "aggmo.so"):
            if os.path.exists(f"{folder}/{name}"):
                os.symlink(f"{folder}/{name}", f"few/{name}")
    os.environ["DLHOST_PLUGIN_PATH"] = os.path.abspath("few")
    try:
        dlhost("--out=alone", "--task.steps=20", "--task.shown=5", "--quiet")
        done = subprocess.run([PROGRAM, "--model=mlp", "--optimizer=sgd", "--out=none"], capture_output=True,
                              text=True, check=False)
        assert "no task 'train'" in done.stderr or "no model 'mlp'" in done.stderr, done.stderr
    finally:
        os.environ["DLHOST_PLUGIN_PATH"] = ":".join(here)


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    dlhost("--out=run", "--quiet")
    read_run("run")
    results.run("/quadratics/matrix/rates-of-the-table", rates_of_the_table)
    results.run("/quadratics/plugins/rates-of-the-matrix", running_agrees)
    results.run("/quadratics/tuned/no-worse", tuned_is_no_worse)
    results.run("/quadratics/tuned/momentum-in-closed-form", tuned_momentum)
    results.run("/quadratics/stability/edges", edges)
    results.run("/quadratics/eigenvalues/solve-the-equation", eigenvalues_solve)
    results.run("/quadratics/paths/by-loops", paths_by_loops)
    results.run("/quadratics/paths/damped-as-published", damped_as_in_the_paper)
    results.run("/quadratics/twice/same-bytes", same_bytes)
    results.run("/quadratics/bad-input/refused", refusals)
    results.run("/quadratics/data/not-needed", without_data)
    os.chdir("/")
results.finish()
