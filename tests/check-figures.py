# SPDX-License-Identifier: MIT
"""Figures of tasks through the program, as TAP: the data in the run folder against values computed
here, the drawings, the report's page, and a machine without gnuplot.

usage: check-figures.py DLHOST FIXTURE"""
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET

import tap

PROGRAM, FIXTURE = map(os.path.abspath, sys.argv[1:3])
SVG = "{http://www.w3.org/2000/svg}"
WITHOUT = {**os.environ, "PATH": "/nonexistent"}
results = tap.Results()


def case(name, function, needs_gnuplot=True):
    if needs_gnuplot and not shutil.which("gnuplot"):
        results.case(name, "SKIP gnuplot is not installed")
    else:
        results.run_apart(name, function)


def dlhost(*arguments, code=0, env=None, **more):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, env=env, **more)
    assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
    return done.stdout + done.stderr


def draw(out, *options, **more):
    return dlhost(f"--task={FIXTURE}", f"--out={out}", *options, **more)


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def data_kept():
    draw("run")
    figure = json.loads(read("run/figures/decay.json"))
    assert [figure[key] for key in ("kind", "name", "title", "x_label", "y_label", "caption", "log_x", "log_y")] == [
        "curves", "decay", "Decay", "step", "distance", "Twenty steps, then a gap.", False, True], figure
    line, points, faint, nothing = figure["curves"]
    want = [None if i == 20 else 0.8 ** i for i in range(50)]
    for got, value in zip(line["y"], want, strict=True):
        assert (got is None) == (value is None) and (got is None or abs(got / value - 1) < 1e-14), (got, value)
    assert line["x"] == list(range(50)) and line["low"][1] == 0.4 and line["high"][1] == 1.6
    assert (points["style"], points["colour"], len(points["x"])) == ("points", 1, 5), points
    assert faint["faint"] and faint["label"] is None and faint["colour"] == 3 and "low" not in faint
    assert nothing["x"] == nothing["y"] == []


def drawn():
    draw("run")
    assert sorted(os.listdir("run/figures")) == [f"{name}.{kind}" for name in ("decay", "spiral")
                                                 for kind in ("json", "png", "svg")]
    for name in ("decay", "spiral"):
        root = ET.parse(f"run/figures/{name}.svg").getroot()
        assert root.find(f"{SVG}title").text == name.capitalize()
        assert read(f"run/figures/{name}.png")[:8] == b"\x89PNG\r\n\x1a\n"
    text = "".join(ET.parse("run/figures/decay.svg").getroot().itertext())
    assert "few" in text and "nothing" in text and "distance" in text, text
    # Its x goes to and fro: every point is drawn, unlike those of a curve that has columns.
    path = ET.parse("run/figures/spiral.svg").find(f".//{SVG}g[@id='gnuplot_plot_1']")
    corners = sum(len(re.findall(r"-?[\d.]+,-?[\d.]+", p.get("d"))) for p in path.iter(f"{SVG}path"))
    assert corners > 5000, corners
    # Five points, each one mark and one in the legend.
    marks = [use.get("{http://www.w3.org/1999/xlink}href") for use in
             ET.parse("run/figures/decay.svg").getroot().iter(f"{SVG}use") if use.get("transform")]
    assert marks.count("#gpPt5") == 6, marks


def same_bytes():
    draw("one")
    draw("two")
    for name in os.listdir("one/figures"):
        assert read("one/figures", name) == read("two/figures", name), name


def replaced():
    draw("run")
    first = read("run/figures/decay.svg")
    draw("again", "--task.decay=0.5")
    assert read("again/figures/decay.svg") != first
    with open("again/config.json", encoding="utf-8") as file:
        text = file.read()
    shutil.copytree("run/figures", "third/figures")
    with open("config.json", "w", encoding="utf-8") as file:
        file.write(text)
    dlhost("--config=config.json", "--out=third")
    assert read("third/figures/decay.svg") == read("again/figures/decay.svg")


def on_the_page():
    draw("runs/a")
    dlhost("report", "runs/a", "--out=single")
    assert "spiral.svg" in os.listdir("single") and "decay.png" in os.listdir("single")
    assert read("single/spiral.svg") == read("runs/a/figures/spiral.svg")
    page = read("single/index.html").decode()
    assert "Twenty steps, then a gap." in page and 'aria-label="Spiral: v by u, 1 curve"' in page
    draw("runs/b", "--task.decay=0.5")
    draw("runs/c", "--task.decay=0.5", "--seed=2")  # one of a group stands for it
    dlhost("report", "runs", "--out=both")
    page = read("both/index.html").decode()
    assert "Decay (decay=0.8)" in page and "Decay (decay=0.5)" in page
    assert page.count("Twenty steps") == 2, page.count("Twenty steps")


def hostile():
    title = "<script>x</script> `touch pwned` '; system('touch pwned') # ]]>"
    draw("run", f"--task.title={title}")
    dlhost("report", "run", "--out=out")
    assert not os.path.exists("pwned") and "<script>x" not in read("out/index.html").decode()
    assert ET.parse("run/figures/decay.svg").find(f"{SVG}title").text == title
    for name in ("../up", "a/b", ".x", ""):
        text = draw("bad", f"--task.name={name}", code=2)
        assert f"dlhost: figure '{name}'" in text and "letters, digits" in text, text
        shutil.rmtree("bad")
    assert not os.path.exists("up.json")


def damaged_files():
    draw("run")
    whole = json.loads(read("run/figures/decay.json"))
    wrong = {"cut": b'{"kind": "curves", "na', "list": b"[1]", "empty": b"", "deep": b"[" * 100000,
             "text": b'"x"', "number": b"3", "bytes": b"\xff\xfe"}
    for key, value in (("kind", "map"), ("name", 3), ("title", None), ("curves", {}), ("curves", [1]),
                       ("curves", []), ("curves", [{"x": [1]}]), ("curves", [{"x": [1], "y": [1, 2]}]),
                       ("curves", [{"x": [1], "y": [1], "low": [1]}]), ("x_label", [])):
        wrong[f"{key}{len(wrong)}"] = json.dumps({**whole, key: value}).encode()
    for name, text in wrong.items():
        with open(f"run/figures/{name}.json", "wb") as file:
            file.write(text)
    odd = {**whole, "curves": [{"x": [1, "2", None, [], {}, True], "y": [1, 2, 3, 4, 5, 6], "colour": -7,
                                "label": 3, "faint": "no"}]}
    with open("run/figures/odd.json", "w", encoding="utf-8") as file:
        json.dump(odd, file)
    os.mkdir("run/figures/folder.json")
    dlhost("report", "run", "--out=out")
    page = read("out/index.html").decode()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert sum("not a figure: wanted are" in text for text in captions) == len(wrong), captions
    assert "Twenty steps, then a gap." in captions and sum("folder.json" in text for text in captions) == 1


def without_gnuplot():
    text = draw("run", env=WITHOUT)
    lines = [line for line in text.splitlines() if "gnuplot" in line]
    assert len(lines) == 1 and "run/figures/decay.json is kept, but not drawn" in lines[0], text
    assert "apt-get install gnuplot-nox" in lines[0]
    assert sorted(os.listdir("run/figures")) == ["decay.json", "spiral.json"]


def stand_in(script):
    """An environment in which gnuplot is @script."""
    os.mkdir("bin")
    with open("bin/gnuplot", "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{script}\n")
        os.fchmod(file.fileno(), stat.S_IRWXU)
    return {**os.environ, "PATH": os.path.abspath("bin") + os.pathsep + os.environ["PATH"]}


def failure_has_reason(script, reason):
    def check():
        text = draw("run", env=stand_in(script))
        lines = [line for line in text.splitlines() if "gnuplot" in line]
        assert len(lines) == 1 and lines[0].endswith(f"not drawn: gnuplot failed: {reason}"), text
    return check


def group_is_signalled():
    """A signal to dlhost's process group, as from a terminal, comes while gnuplot starts."""
    # Once: at a second one dlhost ends at once.
    env = stand_in(f"""read -r x x x x group x < /proc/$PPID/stat
mkdir "{os.getcwd()}/signalled" && kill -INT "-$group"
exec "{shutil.which("gnuplot")}" "$@" """)
    text = draw("run", env=env, start_new_session=True)
    assert "stopping after this step" in text and "not drawn" not in text, text
    for name in ("decay", "spiral"):
        assert ET.fromstring(read(f"run/figures/{name}.svg")).tag == SVG + "svg"


def drawn_later():
    draw("run", env=WITHOUT)
    draw("with")
    dlhost("report", "run", "--out=out")
    for name in ("decay", "spiral"):
        assert read(f"out/{name}.svg") == read(f"with/figures/{name}.svg")
    # What an older sitting drew does not stand beside other data.
    shutil.copytree("with/figures", "stale/figures")
    draw("stale", env=WITHOUT)
    assert sorted(os.listdir("stale/figures")) == ["decay.json", "spiral.json"]


case("/figures/data/kept-as-given", data_kept, False)
case("/figures/drawings/svg-and-png", drawn)
case("/figures/twice/same-bytes", same_bytes)
case("/figures/same-name/replaced", replaced)
case("/figures/report/on-the-page", on_the_page)
case("/figures/names/inject-nothing", hostile)
case("/figures/damaged/named-on-the-page", damaged_files)
case("/figures/gnuplot-missing/data-kept-and-said", without_gnuplot, False)
case("/figures/gnuplot-killed/signal-named", failure_has_reason("kill -TERM $$", "killed by signal 15"), False)
case("/figures/gnuplot-silent/exit-code-named", failure_has_reason("exit 1", "exit code 1"), False)
case("/figures/gnuplot-complains/text-and-code", failure_has_reason("echo no room >&2; exit 3", "no room; exit code 3"), False)
case("/figures/group-signalled/drawn-all-the-same", group_is_signalled)
case("/figures/gnuplot-missing/drawn-later", drawn_later)
results.finish()
