# SPDX-License-Identifier: MIT
"""`dlhost reproduce`, as TAP: the runs that a recipe means, tables against numbers computed here, what
kills and failures do, and recipes that must be refused.

usage: check-reproduce.py DLHOST"""
import copy
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

import tap

PROGRAM = os.path.abspath(sys.argv[1])
RECIPE = {
    "title": "Tiny", "paper": "arXiv:0000.00000", "data": "nowhere",
    "experiments": [{
        "name": "blobs", "title": "Two clouds", "reported": "nothing | at all",
        "options": {"model": "mlp", "model.hidden": [4], "dataset": "synthetic", "dataset.kind": "blobs",
                    "dataset.n": 48, "dataset.test": 32, "dataset.noise": 1, "task": "train",
                    "task.batch": 16, "task.evaluate": 2, "task.log": 1},
        "tune": {"by": "train/loss", "options": {"task.steps": 6}},
        "final": {"seed": 7, "seeds": 2, "options": {"task.steps": 12}},
        "arms": [
            {"name": "slow", "title": "SGD", "options": {"optimizer": "sgd", "optimizer.momentum": 0},
             "grid": {"optimizer.lr": [0.001, 0.01, 0.1]}},
            {"name": "fast", "title": "Adam", "options": {"optimizer": "adam"},
             "grid": {"optimizer.lr": [0.001, 0.1, 0.03]}},
            {"name": "plain", "options": {"optimizer": "aggmo"}}],
        "table": [{"metric": "test/loss"}, {"metric": "train/loss", "at": 6},
                  {"metric": "test/loss", "until": "slow"},
                  {"metric": "test/loss", "until": "slow", "x": "cpu", "title": "seconds"},
                  {"metric": "test/accuracy", "at": "best"}],
        "figures": [{"name": "loss", "metric": "test/loss", "x": "step", "y_scale": "log"},
                    {"name": "seconds", "metric": "test/loss", "x": "cpu"}],
        "scales": {"smoke": {"tune": {"values": 2, "options": {"task.steps": 2}},
                             "final": {"options": {"task.steps": 4}}}},
    }],
}
results = tap.Results()


def write(recipe, path="tiny.json"):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(recipe, file)


def changed(change):
    recipe = copy.deepcopy(RECIPE)
    change(recipe["experiments"][0])
    return recipe


def reproduce(*arguments, code=0, env=None):
    # Without gnuplot sweeps write no pages, which would take most of the time.
    done = subprocess.run([PROGRAM, "reproduce", *arguments], capture_output=True, text=True,
                          check=False, env=env or {**os.environ, "PATH": "/nonexistent"}, timeout=100)
    assert done.returncode == code, f"exit {done.returncode}: {done.stderr or done.stdout}"
    return done.stderr if code else done.stdout


def runs(folder):
    return sorted(n for n in os.listdir(folder) if os.path.exists(f"{folder}/{n}/config.json"))


def records(folder, metric):
    """{step: value} of a run."""
    with open(f"{folder}/metrics.jsonl", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return {line["step"]: line[metric] for line in lines if metric in line}


def rows(path="reproduce/tiny-full/results.md"):
    """{arm: {column: text}} of the first table of the page, and of the second."""
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.startswith("|")]
    tables, head = [], None
    for line in lines:
        cells = [cell.strip().strip("*") for cell in line.strip("|").split(" |")]
        if line.startswith("|---"):
            continue
        if cells[0] == "arm":
            head = cells
            tables.append({})
        else:
            tables[-1][cells[0]] = dict(zip(head, cells))
    return tables


def shown(values):
    mean = statistics.mean(values)
    return mean, statistics.stdev(values) / len(values) ** 0.5


def assert_cell(text, values):
    mean, error = (float(part) for part in text.split(" ± "))
    want, spread = shown(values)
    assert abs(mean - want) <= spread / 10 + 1e-3 * abs(want) and abs(error / spread - 1) < 0.06, (text, values)


def whole():
    write(RECIPE)
    text = reproduce("./tiny.json")
    for name in ("Two clouds", "results: reproduce/tiny-full/results.md", "000-seed=7: done in"):
        assert name in text, text
    # One table of what was reached and one of the tuning; sweeps print none of their own.
    assert text.count("\narm ") == 2 and "configuration" not in text and "Results, by" not in text, text
    top = "reproduce/tiny-full/blobs"
    assert len(runs(f"{top}/tune/slow")) == 3 == len(runs(f"{top}/tune/fast"))
    assert not os.path.exists(f"{top}/tune/plain")
    table, tuning = rows()
    # The best of each grid, from the runs themselves.
    for arm, title in (("slow", "SGD"), ("fast", "Adam")):
        last = {n: records(f"{top}/tune/{arm}/{n}", "train/loss")[6] for n in runs(f"{top}/tune/{arm}")}
        best = min(last, key=last.get).split("lr=")[1].split("-seed")[0]
        assert tuning[title]["chosen"] == f"lr={best}", (tuning, last)
        assert tuning[title]["at an end of its grid"] == ("lr" if float(best) in (0.001, 0.1) else "")
        with open(f"{top}/final/{arm}/{runs(f'{top}/final/{arm}')[0]}/config.json", encoding="utf-8") as file:
            assert json.load(file)["optimizer"]["lr"] == float(best)
    assert tuning["plain"]["chosen"] == "as given" and tuning["SGD"]["settings tried"] == "3"
    finals = {arm: [f"{top}/final/{arm}/{n}" for n in runs(f"{top}/final/{arm}")]
              for arm in ("slow", "fast", "plain")}
    assert [n[-6:] for n in finals["slow"]] == ["seed=7", "seed=8"]
    target = statistics.mean(records(n, "test/loss")[12] for n in finals["slow"])
    for arm, title in (("slow", "SGD"), ("fast", "Adam"), ("plain", "plain")):
        row = table[title]
        assert_cell(row["test/loss"], [records(n, "test/loss")[12] for n in finals[arm]])
        assert_cell(row["train/loss at 6"], [records(n, "train/loss")[6] for n in finals[arm]])
        first = [min((s for s, v in records(n, "test/loss").items() if v <= target), default=None)
                 for n in finals[arm]]
        cell = row["steps to test/loss of slow"]
        if arm == "slow":
            first = [12, 12]
        if None not in first:
            assert abs(float(cell.split(" ± ")[0]) - statistics.mean(first)) < 0.5, (cell, first)
        else:
            assert cell == ("not reached" if first == [None, None] else "1 of 2 runs"), (cell, first)
        assert row["runs"] == "2 of 2"
    assert "nothing | at all" in open("reproduce/tiny-full/results.md", encoding="utf-8").read()
    # Of what has not begun there are tables, and no figures.
    reproduce("./tiny.json", "--out=new", "--tabulate", env=os.environ)
    assert {row["runs"] for row in rows("new/results.md")[0].values()} == {"0 of 2"}
    assert os.listdir("new") == ["results.md"] and "![" not in open("new/results.md", encoding="utf-8").read()


def no_place():
    write(RECIPE)
    message = reproduce("./tiny.json", "--out=tiny.json/out", code=1)
    assert message == "dlhost: tiny.json/out: cannot write into the folder: Not a directory\n", message


def figures():
    write(RECIPE)
    reproduce("./tiny.json", "--scale=smoke", "--out=out", "--quiet", env=os.environ)
    for name in ("loss", "seconds"):
        with open(f"out/blobs/{name}.svg", encoding="utf-8") as file:
            assert "<svg" in file.read()
        assert os.path.getsize(f"out/blobs/{name}.png") > 1000
    page = open("out/results.md", encoding="utf-8").read()
    assert "![Two clouds](blobs/loss.svg)" in page or "![test/loss](blobs/loss.svg)" in page, page
    # A scale cuts grids and steps; columns of steps that no run comes to are left out.
    assert len(runs("out/blobs/tune/slow")) == 2
    assert "train/loss at 6" not in page and "test/loss" in page


def again():
    write(RECIPE)
    reproduce("./tiny.json", "--scale=smoke", "--out=out")
    before = {name: os.stat(f"out/blobs/final/fast/{name}/metrics.jsonl").st_mtime_ns
              for name in runs("out/blobs/final/fast")}
    page = open("out/results.md", encoding="utf-8").read()
    reproduce("./tiny.json", "--scale=smoke", "--out=out")
    after = {name: os.stat(f"out/blobs/final/fast/{name}/metrics.jsonl").st_mtime_ns
             for name in runs("out/blobs/final/fast")}
    assert before == after and page == open("out/results.md", encoding="utf-8").read()
    write(changed(lambda e: e["options"].update({"model.hidden": [5]})))
    assert "holds another sweep" in reproduce("./tiny.json", "--scale=smoke", "--out=out", code=2)


def stopped():
    def longer(e):
        e["tune"]["options"] = {"task.steps": 20000, "task.evaluate": 20000}
        e["final"]["options"] = {"task.steps": 40}
    write(changed(longer))
    process = subprocess.Popen([PROGRAM, "reproduce", "./tiny.json", "--out=out", "--jobs=1"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PATH": "/nonexistent"})
    first = "out/blobs/tune/slow/000-lr=0.001-seed=0/metrics.jsonl"
    for _ in range(2000):
        if os.path.exists(first) and os.path.getsize(first):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 143, (process.returncode, message)
    assert "go on with" in message, message
    reproduce("./tiny.json", "--out=out", "--tabulate")
    assert {row["runs"] for row in rows("out/results.md")[0].values()} == {"0 of 2"}
    # What has not been tried has not failed either.
    assert [(row["settings tried"], row["chosen"]) for row in rows("out/results.md")[1].values()] == [
        ("0 of 3", "none yet"), ("0 of 3", "none yet"), ("1", "as given")]
    reproduce("./tiny.json", "--out=out")
    assert rows("out/results.md")[0]["Adam"]["runs"] == "2 of 2"
    assert {row["settings tried"] for row in rows("out/results.md")[1].values()} == {"3", "1"}


def failures():
    def diverge(e):
        e["arms"][1] = {"name": "fast", "title": "Adam", "options": {"optimizer": "sgd"},
                        "grid": {"optimizer.lr": [1e6, 1e5, 9e5]}}
        e["options"]["dataset.noise"] = 100
        e["tune"]["options"] = {"task.steps": 60}
    write(changed(diverge))
    message = reproduce("./tiny.json", "--out=out", code=1)
    assert "some runs failed" in message, message
    table, tuning = rows("out/results.md")
    assert tuning["Adam"]["chosen"] == "none succeeded", tuning
    assert table["Adam"]["runs"] == "0 of 2" and table["SGD"]["runs"] == "2 of 2", table


def data():
    """Missing data is told once, before anything runs; a --data that nothing reads is not taken."""
    def from_files(e):
        e["options"] = {"model": "mlp", "dataset": "mnist", "dataset.dir": "{data}/digits", "task": "train"}
    write(changed(from_files))
    text = reproduce("./tiny.json", "--out=out", code=4)
    assert text.startswith("dlhost: experiment 'blobs': mnist: no directory 'nowhere/digits'"), text
    assert text.count("\n") == 1 and not os.path.exists("out"), text
    assert "'else/digits'" in reproduce("./tiny.json", "--out=out", "--data=else", code=4)
    assert "runs that tune" in reproduce("./tiny.json", "--plan", "--data=else")
    recipe = changed(from_files)
    recipe["experiments"].append({**RECIPE["experiments"][0], "name": "made"})
    write(recipe)
    assert "runs that tune" in reproduce("./tiny.json", "--plan", "--data=else")
    for arguments in (["--only=made"], []):
        if not arguments:
            write(RECIPE)
        text = reproduce("./tiny.json", "--plan", "--data=else", *arguments, code=2)
        assert "--data: nothing would use it" in text and text.count("\n") == 1, text


def from_results():
    """{out}: an experiment uses the run folders of the one before it."""
    model = {"model": "vae", "model.latents": 2, "model.encoder": [4], "model.decoder": [4],
             "dataset": "synthetic", "dataset.kind": "images", "dataset.size": 4, "dataset.n": 20,
             "dataset.test": 5}
    first = {"name": "models", "title": "Trained", "final": {"seed": 3, "seeds": 1},
             "options": {**model, "task": "train", "task.batch": 10, "task.steps": 4},
             "arms": [{"name": "a", "options": {"optimizer": "adam"}}], "table": [{"metric": "train/loss"}]}
    then = {"name": "scored", "title": "Scored", "final": {"seed": 1, "seeds": 1},
            "options": {**model, "sampler": "ais", "sampler.temperatures": 5, "task": "likelihood_scan",
                        "task.examples": 2, "task.chains": 2, "task.splits": "test",
                        "task.checkpoints": "{out}/models/final/a/000-seed=3"},
            "arms": [{"name": "a", "options": {"dtype": "f32"}}], "table": [{"metric": "test/log_p"}]}
    write({**RECIPE, "experiments": [first, then]})
    reproduce("./tiny.json", "--out=deep/out")
    with open("deep/out/scored/final/a/000-seed=1/scan.csv", encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert len(lines) == 2 and lines[1].startswith("4,test,"), lines


EVALUATED = {"task": "evaluate", "task.batch": 8}


def evaluated(change=None):
    """The recipe with an evaluation of every arm and one of Adam's alone."""
    def with_then(e):
        e["then"] = [{"name": "again", "options": EVALUATED}]
        e["arms"][1]["then"] = [{"name": "train-set", "options": {**EVALUATED, "dataset.test": 8}},
                                {"name": "again", "options": {"task.batch": 16}}]
        e["arms"][0]["curve"] = e["arms"][1]["curve"] = "tuned"
        e["table"] = [{"metric": "test/loss"}, {"metric": "again/test/loss"},
                      {"metric": "train-set/test/loss", "title": "eight"}]
        e["figures"] = [{"name": "trade", "metric": "again/test/accuracy", "x_metric": "test/loss"}]
        e["scales"]["smoke"]["then"] = [{"name": "again", "options": {"dataset.test": 16}}]
        if change:
            change(e)
    return changed(with_then)


def then():
    """Evaluations of the final runs' checkpoints: their numbers are the runs' own, where the data are."""
    write(evaluated())
    text = reproduce("./tiny.json", "--plan")
    assert text == "blobs: 3 arms, 6 runs that tune, 6 with what they chose, 8 that evaluate those\n", text
    text = reproduce("./tiny.json", "--out=out", env=os.environ)
    assert "Two clouds, plain: evaluation again" in text, text
    top = "out/blobs/then"
    assert sorted(os.listdir(top)) == ["fast", "plain", "slow"]
    assert sorted(os.listdir(f"{top}/fast")) == ["again", "train-set"] and os.listdir(f"{top}/slow") == ["again"]
    table = rows("out/results.md")[0]
    for arm, title in (("slow", "SGD"), ("fast", "Adam"), ("plain", "plain")):
        finals = [f"out/blobs/final/{arm}/{n}" for n in runs(f"out/blobs/final/{arm}")]
        again = [f"{top}/{arm}/again/{n}" for n in runs(f"{top}/{arm}/again")]
        assert [n[-6:] for n in again] == ["seed=7", "seed=8"], again
        for final, after in zip(finals, again):
            # In other batches than at the training's end.
            want, got = records(final, "test/loss")[12], list(records(after, "test/loss").values())[-1]
            assert abs(want - got) < 1e-5 * abs(want), (want, got)
            with open(f"{after}/config.json", encoding="utf-8") as file:
                config = json.load(file)
            assert config["task"]["plugin"] == "evaluate" and config["task"]["batch"] == (16 if arm == "fast" else 8)
        assert_cell(table[title]["again/test/loss"], [records(n, "test/loss")[12] for n in finals])
        assert table[title]["runs"] == "2 of 2"
    eight = [list(records(f"{top}/fast/train-set/{n}", "test/loss").values())[-1]
             for n in runs(f"{top}/fast/train-set")]
    assert_cell(table["Adam"]["eight"], eight)
    assert table["SGD"]["eight"] == "-" == table["plain"]["eight"]
    with open("out/blobs/trade.svg", encoding="utf-8") as file:
        drawn = file.read()
    # Arms of one curve have one place in the legend.
    assert "tuned" in drawn and "plain" in drawn and "SGD" not in drawn, drawn[:300]
    # A scale shortens them.
    assert "8 that evaluate" not in reproduce("./tiny.json", "--scale=smoke", "--only=blobs", "--out=small")
    name = runs("small/blobs/then/fast/again")[0]
    with open(f"small/blobs/then/fast/again/{name}/config.json", encoding="utf-8") as file:
        assert json.load(file)["dataset"]["test"] == 16


def then_resumed():
    """Nothing runs twice; what was killed or is gone runs again; what failed is told."""
    write(evaluated())
    reproduce("./tiny.json", "--out=out")
    page = open("out/results.md", encoding="utf-8").read()
    stamps = {n: os.stat(f"out/blobs/then/slow/again/{n}/metrics.jsonl").st_mtime_ns
              for n in runs("out/blobs/then/slow/again")}
    # As a kill leaves them: a run that is not recorded, a sweep that never began.
    with open("out/blobs/then/fast/again/state.jsonl", encoding="utf-8") as file:
        lines = [line for line in file if line.strip()]
    with open("out/blobs/then/fast/again/state.jsonl", "w", encoding="utf-8") as file:
        file.writelines(lines[:1])
    shutil.rmtree("out/blobs/then/plain")
    reproduce("./tiny.json", "--out=out", "--tabulate")
    assert rows("out/results.md")[0]["plain"]["again/test/loss"] == "-"
    reproduce("./tiny.json", "--out=out")
    assert open("out/results.md", encoding="utf-8").read() == page
    assert stamps == {n: os.stat(f"out/blobs/then/slow/again/{n}/metrics.jsonl").st_mtime_ns for n in stamps}
    write(evaluated(lambda e: e["then"][0]["options"].update({"task.batch": 9})))
    assert "holds another sweep" in reproduce("./tiny.json", "--out=out", code=2)

    def broken(e):
        e["then"][0]["options"] = {"task": "evaluate", "model.hidden": [3]}
    write(evaluated(broken))
    message = reproduce("./tiny.json", "--out=bad", code=1)
    assert "some runs failed" in message, message
    table = rows("bad/results.md")[0]
    assert table["SGD"]["again/test/loss"] == "-" and table["SGD"]["runs"] == "2 of 2", table


def found():
    os.makedirs("plugins/reproduce")
    write(RECIPE, "plugins/reproduce/mine.json")
    text = reproduce("--plugin-path=plugins")
    assert "mine: Tiny" in text and "  blobs: Two clouds" in text and "kfac: " in text, text
    reproduce("mine", "--plugin-path=plugins", "--scale=smoke", "--out=out", "--only=blobs")
    assert "did you mean 'mine'" in reproduce("mien", "--plugin-path=plugins", code=2)
    assert "which are blobs" in reproduce("mine", "--plugin-path=plugins", "--only=blob", code=2)
    assert "which are smoke, full" in reproduce("mine", "--plugin-path=plugins", "--scale=big", code=2)


def shipped():
    """Every recipe of this project: its options exist, its budgets are equal."""
    names = [line.split(":")[0] for line in reproduce().splitlines() if not line.startswith(" ")]
    assert "kfac" in names, names
    for name in names:
        for scale in ("smoke", "full"):
            assert "runs that tune" in reproduce(name, f"--scale={scale}", "--plan")
    write(RECIPE)
    text = reproduce("./tiny.json", "--plan")
    assert text == "blobs: 3 arms, 6 runs that tune, 6 with what they chose\n", text
    assert not os.path.exists("reproduce")


def refusals():
    def at(*path, value):
        def change(e):
            for key in path[:-1]:
                e = e[key]
            e[path[-1]] = value
        return change
    for change, words in (
            (at("name", value="a/b"), "'name' must be made of"),
            (at("gird", value=1), "experiments[0]: unknown member 'gird'"),
            (at("arms", 0, "gird", value={}), "experiments[0].arms[0]: unknown member 'gird'; did you mean 'grid'?"),
            (at("arms", value=[]), "'arms' must be a list that is not empty"),
            (at("arms", 1, "name", value="slow"), "another than those of the arms before"),
            (at("arms", 0, "grid", value={"optimizer.lr": [0.1]}), "arm 'slow' is tuned with 1 settings, 'fast' with 3"),
            (at("arms", 0, "grid", value={"optimizer.lr": 0.1}), "'optimizer.lr' must be a list of values to try"),
            (at("arms", 0, "grid", value={"lr": [1]}), "'lr' must be a kind of plugin"),
            (at("arms", 0, "grid", value={"optimizer.lr": [1, 1]}), "arms[0].grid: --grid: 'optimizer.lr=[1,1]' has a value twice"),
            (at("arms", 0, "options", "optimizer.learning_rate", value=1), "experiment 'blobs': arm 'slow'"),
            (at("options", "steps", value=3), "'steps' must be a kind of plugin"),
            (at("options", "model.hidden", value={}), "'model.hidden' must be a number, text"),
            (at("options", "dataset.noise", value=-1), "noise"),
            (at("options", "model", value="mpl"), "did you mean 'mlp'"),
            (at("table", 0, "metric", value=7), "experiments[0].table[0]: 'metric' must be a text"),
            (at("table", 0, "at", value="end"), "'at' must be one of last, best"),
            (at("table", 0, "at", value=0), "'at' must be a whole number from 1"),
            (at("table", 2, "at", value=3), "'at' must be left out where there is 'until'"),
            (at("table", 2, "until", value="none"), "'until' is 'none', must be the name of an arm"),
            (at("table", 2, "x", value="time"), "'x' must be one of step, epoch, wall, cpu"),
            (at("figures", 0, "y_scale", value="yes"), "'y_scale' must be one of auto, log, linear"),
            (at("final", "seeds", value=0), "experiments[0].final: 'seeds' must be a whole number from 1 to 1000"),
            (at("tune", value=[]), "'experiments[0].tune' must be an object"),
            (at("scales", "smoke", "finals", value={}), "scales.smoke: unknown member 'finals'"),
            (at("then", value={}), "experiments[0]: 'then' must be a list that is not empty"),
            (at("then", value=[{"options": EVALUATED}]), "experiments[0].then[0]: 'name' must be"),
            (at("then", value=[{"name": "test"}]), "then[0]: 'name' must be another than train, valid and test"),
            (at("then", value=[{"name": "a"}, {"name": "a"}]), "then[1]: 'name' must be another than those before"),
            (at("then", value=[{"name": "a", "option": {}}]), "unknown member 'option'; did you mean 'options'?"),
            (at("then", value=[{"name": "a", "options": {"batch": 3}}]), "then[0].options: 'batch' must be a kind"),
            (at("then", value=[{"name": "a", "options": {"task": "evaluate", "task.step": 3}}]),
             "experiment 'blobs': arm 'slow': evaluation 'a': "),
            (at("arms", 2, "then", value=[{"name": "a", "options": {"task": "evaluat"}}]),
             "arm 'plain': evaluation 'a': "),
            (at("scales", "smoke", "then", value=[{"name": "a"}]),
             "experiments[0].scales.smoke.then: 'a' is an evaluation of no arm"),
            (at("figures", 0, "x_metric", value="a/b"), "figures[0]: 'x' must be left out where there is 'x_metric'")):
        write(changed(change))
        text = reproduce("./tiny.json", "--plan", code=3 if "mlp" in words or "plain" in words else 2)
        assert words in text and text.count("\n") == 1, (words, text)
        assert not os.path.exists("reproduce"), words
    for content, words in (("[]", "must be one object"), ("", "not a JSON recipe"), ("{", "not a JSON recipe"),
                           ('{"title":"a","title":"b"}', "'title' is there twice"),
                           ('{"title":"a"}', "'experiments' must be a list")):
        with open("tiny.json", "w", encoding="utf-8") as file:
            file.write(content)
        text = reproduce("./tiny.json", code=2)
        assert words in text and text.count("\n") == 1, (words, text)
    assert "none.json" in reproduce("./none.json", code=4)


results.run_apart("/reproduce/whole/as-computed", whole)
results.run_apart("/reproduce/folder/one-message", no_place)
results.run_apart("/reproduce/figures/drawn", figures)
results.run_apart("/reproduce/again/nothing-runs-twice", again)
results.run_apart("/reproduce/stopped/goes-on", stopped)
results.run_apart("/reproduce/failures/told", failures)
results.run_apart("/reproduce/data/looked-for-first", data)
results.run_apart("/reproduce/results/of-before-are-used", from_results)
results.run_apart("/reproduce/then/evaluates-checkpoints", then)
results.run_apart("/reproduce/then/goes-on", then_resumed)
results.run_apart("/reproduce/search/beside-plugins", found)
results.run_apart("/reproduce/shipped/readable", shipped)
results.run_apart("/reproduce/recipes/refused", refusals)
results.finish()
