# SPDX-License-Identifier: MIT
"""`dlhost sweep`, as TAP: the runs that a grid means, its tables against means computed here, and what
kills, failures and changed arguments do.

usage: check-sweep.py DLHOST"""
import csv
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import time

import tap

PROGRAM = os.path.abspath(sys.argv[1])
SMALL = ["--model=mlp,hidden=[4]", "--dataset=synthetic,kind=blobs,dims=3,n=48,test=32,noise=1",
         "--batch=16", "--steps=6", "--task.evaluate=2", "--threads=1"]
results = tap.Results()


def sweep(*arguments, code=0, env=None):
    done = subprocess.run([PROGRAM, "sweep", *arguments], capture_output=True, text=True,
                          check=False, env=env, timeout=100)
    assert done.returncode == code, f"exit {done.returncode}: {done.stderr or done.stdout}"
    return done.stderr if code else done.stdout


def quick(*arguments, **options):
    """Without the page: most of these tests are not about it."""
    return sweep(*arguments, env={**os.environ, "PATH": "/nonexistent"}, **options)


def names(folder):
    return sorted(n for n in os.listdir(folder) if os.path.exists(f"{folder}/{n}/config.json"))


def table(folder):
    with open(f"{folder}/results.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def records(run):
    with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def checkpoint(run):
    name = max((n for n in os.listdir(run) if re.fullmatch(r"checkpoint-\d+\.safetensors", n)),
               key=lambda n: int(n[11:-12]))
    with open(f"{run}/{name}", "rb") as file:
        return name, file.read()


def config(run):
    with open(f"{run}/config.json", encoding="utf-8") as file:
        return json.load(file)


def grid():
    quick("--grid=optimizer=[sgd,adam]", "--grid=optimizer.lr=[0.01,0.1]",
          "--grid=sgd.momentum=[0,0.5,0.9]", "--seeds=2", "--seed=7", *SMALL, "--out=s")
    got = {(c["optimizer"]["plugin"], c["optimizer"]["lr"], c["optimizer"].get("momentum"),
            c["seed"]) for c in map(config, (f"s/{n}" for n in names("s")))}
    want = {("sgd", lr, m, s) for lr in (0.01, 0.1) for m in (0, 0.5, 0.9) for s in (7, 8)}
    want |= {("adam", lr, None, s) for lr in (0.01, 0.1) for s in (7, 8)}
    assert got == want and len(names("s")) == len(want), got ^ want
    assert "003-sgd-lr=0.1-momentum=0-seed=7" in names("s"), names("s")
    with open("s/results.json", encoding="utf-8") as file:
        found = json.load(file)
    assert len(found["configurations"]) == 8


def numbers():
    text = quick("--grid=optimizer.lr=[0.01,0.3]", "--optimizer=sgd", "--seeds=4", *SMALL,
                 "--out=s", "--by=test/accuracy")
    rows = table("s")
    for row in rows:
        runs = [n for n in names("s") if f"lr={row['optimizer.lr']}-" in n]
        assert len(runs) == 4
        for metric in ("test/loss", "test/accuracy"):
            pick = max if metric == "test/accuracy" else min
            series = [[r[metric] for r in records(f"s/{n}") if metric in r] for n in runs]
            for part, values in (("", [s[-1] for s in series]), ("best ", [pick(s) for s in series])):
                mean = statistics.mean(values)
                error = statistics.stdev(values) / math.sqrt(4)
                assert math.isclose(float(row[f"{metric} {part}mean"]), mean, rel_tol=1e-12)
                assert math.isclose(float(row[f"{metric} {part}error"]), error, rel_tol=1e-9,
                                    abs_tol=1e-15)
    means = [float(row["test/accuracy mean"]) for row in rows]
    assert means == sorted(means, reverse=True), means
    assert re.search(r"^lr=[\d.]+ +4 of 4 .*\* ", text, re.MULTILINE), text
    with open("s/results.json", encoding="utf-8") as file:
        found = json.load(file)["configurations"]
    assert [c["settings"]["optimizer.lr"] for c in found] == [r["optimizer.lr"] for r in rows]
    assert math.isclose(found[0]["metrics"]["test/loss"]["mean"], float(rows[0]["test/loss mean"]),
                        rel_tol=1e-9)


def jobs():
    arguments = ["--grid=optimizer=[sgd,adam]", "--seeds=2", *SMALL]
    quick(*arguments, "--jobs=1", "--out=one")
    quick(*arguments, "--jobs=4", "--out=four")
    assert names("one") == names("four")
    for name in names("one"):
        assert checkpoint(f"one/{name}") == checkpoint(f"four/{name}"), name
    with open("one/results.csv", "rb") as a, open("four/results.csv", "rb") as b:
        assert a.read() == b.read()


def fails(folder, *more, code=0):
    return quick("--grid=optimizer.lr=[1000000,0]", "--optimizer=sgd",
                 "--model=mlp,hidden=[4]",
                 "--dataset=synthetic,kind=blobs,dims=3,n=48,test=32,noise=1000000", "--batch=16", "--steps=6",
                 "--threads=1", "--seeds=2", f"--out={folder}", *more, code=code)


def failed_runs():
    text = fails("s")
    rows = table("s")
    assert [(r["optimizer.lr"], r["done"], r["failed"]) for r in rows] == [
        ("0", "2", "0"), ("1000000", "0", "2")], rows
    assert rows[1]["test/loss mean"] == "" and "failed" in text
    with open("s/state.jsonl", encoding="utf-8") as file:
        codes = [json.loads(line)["code"] for line in file if line.strip()]
    assert sorted(codes) == [0, 0, 5, 5], codes
    before = os.stat("s/state.jsonl").st_size
    quick("s")
    assert os.stat("s/state.jsonl").st_size == before, "failed runs were run again"
    quick("s", "--retry")
    assert os.stat("s/state.jsonl").st_size > before
    quick("--grid=optimizer.lr=[1000000]", "--optimizer=sgd", "--model=mlp,hidden=[4]",
          "--dataset=synthetic,kind=blobs,dims=3,n=48,test=32,noise=1000000", "--batch=16", "--steps=6",
          "--threads=1", "--out=none", code=1)


LONG = ["--grid=optimizer=[sgd,adam]", "--seeds=2", "--jobs=2", "--model=mlp,hidden=[16]",
        "--dataset=synthetic,kind=blobs,dims=8,n=512,test=32", "--batch=8", "--steps=1500",
        "--task.checkpoint=20", "--task.evaluate=500", "--threads=1"]


def start(folder, ready, **options):
    """A sweep, once @ready runs of it have a checkpoint. @options: of Popen."""
    child = subprocess.Popen([PROGRAM, "sweep", *LONG, f"--out={folder}"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env={**os.environ, "PATH": "/nonexistent"}, **options)
    for _ in range(3000):
        have = [n for n in (names(folder) if os.path.isdir(folder) else [])
                if any(f.startswith("checkpoint-") for f in os.listdir(f"{folder}/{n}"))]
        if len(have) >= ready or child.poll() is not None:
            return child
        time.sleep(0.005)
    raise AssertionError("no checkpoint appears")


def assert_same_end(folder):
    assert names(folder) == names("whole")
    for name in names(folder):
        assert checkpoint(f"{folder}/{name}") == checkpoint(f"whole/{name}"), name


def kills():
    quick(*LONG, "--out=whole")
    child = start("term", 1)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    if child.returncode:
        assert child.returncode == 130 and "go on with: dlhost sweep term" in errors, errors
    quick("term")
    assert_same_end("term")
    child = start("kill", 3)
    child.kill()
    child.communicate(timeout=60)
    with open("kill/state.jsonl", "a", encoding="utf-8") as file:
        file.write('{"run":"000-sgd-seed=0","co')
    quick(*LONG, "--out=kill")
    assert_same_end("kill")
    rows = [{k: v for k, v in r.items()} for r in table("kill")]
    assert rows == table("whole") == table("term")


def background():
    # As under nohup, or in a shell's background job: what the runs ignore, the sweep does too.
    child = start("nohup", 1, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0 and "stopping" not in errors, (child.returncode, errors)


def killed_early():
    quick("--grid=optimizer=[sgd]", "--seeds=2", *SMALL, "--out=s")
    wanted = checkpoint("s/000-sgd-seed=1")
    # As if the second run had been killed before its first checkpoint.
    os.remove("s/state.jsonl")
    for name in os.listdir("s/000-sgd-seed=1"):
        if name.startswith("checkpoint"):
            os.remove(f"s/000-sgd-seed=1/{name}")
    quick("s")
    assert checkpoint("s/000-sgd-seed=1") == wanted


def changed():
    arguments = ["--grid=optimizer=[sgd]", "--seeds=1", *SMALL, "--out=s"]
    quick(*arguments)
    text = quick(*arguments[:2], *SMALL[:-3], "--steps=8", "--threads=1", "--out=s", code=2)
    assert "--task.steps=6" in text and "--task.steps=8" in text and text.count("\n") == 1, text
    assert "--seeds=1" not in text
    before = os.stat("s/000-sgd-seed=0/metrics.jsonl").st_mtime_ns
    quick(*arguments)
    assert os.stat("s/000-sgd-seed=0/metrics.jsonl").st_mtime_ns == before


def random_draws():
    arguments = ["--grid=optimizer=[sgd,adam]", "--grid=optimizer.lr=1e-4..1e-1",
                 "--grid=batch=[8,16]", "--random=6", *SMALL[:2], "--steps=2", "--threads=1"]
    quick(*arguments, "--out=a", "--jobs=1")
    quick(*arguments, "--out=b", "--seed=1")
    drawn = {f: [(c["optimizer"]["plugin"], c["optimizer"]["lr"], c["task"]["batch"])
                 for c in (config(f"{f}/{n}") for n in names(f))] for f in "ab"}
    assert len(drawn["a"]) == 12 and sum(p == "sgd" for p, *_ in drawn["a"]) == 6
    rates = [lr for _, lr, _ in drawn["a"]]
    assert all(1e-4 <= lr <= 1e-1 for lr in rates) and len(set(rates)) == 12, rates
    # Log-uniform: the chance that none of 12 is below the middle is 2^-12.
    assert min(rates) < 10 ** -2.5 < max(rates)
    assert {b for *_, b in drawn["a"]} == {8, 16}
    assert drawn["a"] != drawn["b"]
    quick(*arguments, "--out=c", "--jobs=2")
    assert names("a") == names("c")


def from_config():
    quick("--grid=optimizer=[sgd]", *SMALL, "--out=s")
    quick("--config=s/000-sgd-seed=0/config.json", "--grid=optimizer=[adam,sgd]",
          "--grid=model.hidden=[[3],[2,2]]", "--threads=1", "--out=t")
    got = [(c["optimizer"]["plugin"], c["model"]["hidden"], c["task"]["steps"])
           for c in (config(f"t/{n}") for n in names("t"))]
    assert got == [("adam", [3], 6), ("adam", [2, 2], 6), ("sgd", [3], 6), ("sgd", [2, 2], 6)], got


def page():
    text = sweep("--grid=optimizer=[sgd,adam]", "--grid=optimizer.lr=[0.01,0.1]", "--seeds=2",
                 *SMALL, "--out=s")
    if "gnuplot is not installed" in text:
        return
    with open("s/report/index.html", encoding="utf-8") as file:
        html = file.read()
    assert "Tuning budget" in html and "Results, by test/loss" in html
    assert os.path.exists("s/report/sweep-lr.svg") and os.path.exists("s/report/sweep-lr.png")
    assert "chosen on the test data" in html.lower()


def after():
    """--after: each run starts with the last checkpoint of the other sweep's run of its seed."""
    quick("--optimizer=sgd", *SMALL, "--seed=3", "--seeds=3", "--out=first", "--jobs=1")
    test = ["--task=evaluate", *(a for a in SMALL if not a.startswith(("--steps", "--task")))]
    # One that has not succeeded: its evaluation fails without being recorded, and others run.
    with open("first/state.jsonl", encoding="utf-8") as file:
        lines = [line for line in file if line.strip()]
    with open("first/state.jsonl", "w", encoding="utf-8") as file:
        file.writelines(lines[:2])
    text = quick(*test, "--seed=3", "--seeds=3", "--after=first", "--out=second", "--jobs=1")
    assert "000-seed=5: failed: its run in first has not succeeded (3 of 3)" in text, text
    with open("first/state.jsonl", "a", encoding="utf-8") as file:
        file.writelines(lines[2:])
    quick("second")
    for name in names("first"):
        want = [r["test/loss"] for r in records(f"first/{name}") if "test/loss" in r][-1]
        assert abs(records(f"second/{name}")[-1]["test/loss"] - want) < 1e-6 * want, name
    assert table("second")[0]["done"] == "3"
    quick("--optimizer=sgd", "--grid=optimizer.lr=[0.1,0.2]", *SMALL, "--out=two")
    for arguments, words in ((["--after=two"], "two has 2 configurations, must have one"),
                             (["--after=none"], "--after: none"),
                             (["--after=first", "--checkpoint=x"], "leave --checkpoint out"),
                             (["--after=first", "--seed=7"], "first has no run of seed 7")):
        text = sweep(*test, *arguments, "--out=new", code=4 if "none" in words else 2)
        assert words in text and text.count("\n") == 1, text
    assert not os.path.exists("new")


def refusals():
    for arguments, code, words in (
            ((), 2, "--out=DIR"), (("--out=x", "--grid=seed=[1,2]"), 2, "--seeds"),
            (("--out=x", "--grid=optimizer.lr"), 2, "of the form"),
            (("--out=x", "--grid=optimizer.lr=[0.1,0.1]"), 2, "a value twice"),
            (("--out=x", "--grid=optimizer.lr=[0.1,]"), 2, "an empty value"),
            (("--out=x", "--grid=optimizer.lr=1e-3..1e-1"), 2, "--random=N"),
            (("--out=x", "--grid=optimizer.lr=-1..1", "--random=2"), 2, "of the form"),
            (("--out=x", "--grid=kfac.lr=[1]", "--optimizer=sgd"), 2, "no run uses"),
            (("--out=x", "--grid=optimizer=[sgd]", "--optimizer=adam"), 2, "as well"),
            (("--out=x", "--grid=optimizer.lr=[1]", "--optimizer=sgd,lr=2"), 2, "as well"),
            (("--out=x", "--grid=optimizer.lr=[-1]", "--optimizer=sgd"), 2, "lr=-1"),
            (("--out=x", "--grid=optimizer=[nothing]"), 3, "nothing"),
            (("--out=x", "--grid=optimizer.lr=[1]", "--grid=optimizer.lr=[2]",
              "--optimizer=sgd"), 2, "given twice"),
            (("--out=x", "--seeds=0"), 2, "--seeds"), (("nowhere",), 4, "sweep.json"),
            (("nowhere", "--steps=3"), 2, "takes no")):
        text = quick(*arguments, code=code)
        assert words in text and text.count("\n") == 1, (arguments, text)
    assert not os.path.exists("x"), "a refused sweep leaves nothing"
    os.mkdir("y")
    for content in ("", "{", "[]", '{"arguments":1}', "[" * 100000):
        with open("y/sweep.json", "w", encoding="utf-8") as file:
            file.write(content)
        assert "sweep.json" in quick("y", code=4)


results.run_apart("/sweep/grid/all-combinations", grid)
results.run_apart("/sweep/numbers/as-computed", numbers)
results.run_apart("/sweep/jobs/same-bytes", jobs)
results.run_apart("/sweep/failed-runs/recorded", failed_runs)
results.run_apart("/sweep/kill/resumes-bitwise", kills)
results.run_apart("/sweep/background/ignores-what-runs-ignore", background)
results.run_apart("/sweep/killed-early/begins-anew", killed_early)
results.run_apart("/sweep/changed-arguments/refused", changed)
results.run_apart("/sweep/random/drawn-by-seed", random_draws)
results.run_apart("/sweep/config/axes-win", from_config)
results.run_apart("/sweep/page/tables-and-figure", page)
results.run_apart("/sweep/after/starts-with-checkpoints", after)
results.run_apart("/sweep/bad-input/refused", refusals)
results.finish()
