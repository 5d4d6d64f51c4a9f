# SPDX-License-Identifier: MIT
"""`dlhost report`, as TAP: its numbers against means computed here, its figures as XML and PNG, and
names that try to be markup, commands or scripts.

usage: check-report.py DLHOST"""
import html.parser
import json
import math
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib

import tap

PROGRAM = os.path.abspath(sys.argv[1])
SVG = "{http://www.w3.org/2000/svg}"
results = tap.Results()


def case(name, function):
    if not shutil.which("gnuplot") and name != "/report/gnuplot-missing/says-what-to-install":
        results.case(name, "SKIP gnuplot is not installed")
    else:
        results.run_apart(name, function)


def write_run(folder, records, seed=0, optimizer="sgd", **options):
    os.makedirs(folder)
    config = {"optimizer": {"plugin": optimizer, **options}, "model": {"plugin": "mlp"},
              "task": {"plugin": "train", "epochs": 2, "steps": 0, "patience": 0}, "seed": seed}
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    with open(os.path.join(folder, "metrics.jsonl"), "w", encoding="utf-8") as file:
        for record in records:
            file.write(record if isinstance(record, str) else json.dumps(record))
            file.write("\n")


def record(step, event="eval", **values):
    return {"event": event, "step": step, "wall": step / 8,
            **{name.replace("_", "/", 1): value for name, value in values.items()}}


def report(*arguments, code=0, env=None):
    done = subprocess.run([PROGRAM, "report", *arguments], capture_output=True, text=True,
                          check=False, env=env)
    assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
    return done.stderr if code else done.stdout


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.rows, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")

    def row(self, head):
        return next(row for row in self.rows if row and row[0] == head)


def plots(path):
    """Pixel coordinates of each curve of a figure, by gnuplot's number."""
    found = {}
    for group in ET.parse(path).iter(f"{SVG}g"):
        match = re.fullmatch(r"gnuplot_plot_(\d+)", group.get("id", ""))
        if match:
            data = " ".join(p.get("d", "") for p in group.iter(f"{SVG}path"))
            found[int(match[1])] = [tuple(map(float, pair)) for pair in
                                    re.findall(r"[ML ]?(-?[\d.]+),(-?[\d.]+)", data)]
    return found


def shape_of(values):
    """Values on [0, 1]: what an unknown linear axis leaves to compare."""
    low, high = min(values), max(values)
    return [(v - low) / (high - low) for v in values]


def assert_shape(pixels, values, what):
    # The first two coordinates of a curve with a legend are its sample.
    got = shape_of([-y for _, y in pixels][-len(values):])
    for index, (a, b) in enumerate(zip(got, shape_of(values), strict=True)):
        # Coordinates have two decimals, of some 200 pixels.
        assert abs(a - b) < 2e-4, f"{what} {index}: {a} for {b}"


SEEDS = {0: [0.9, 0.5, 0.41], 1: [1.1, 0.4, 0.35], 2: [1.3, 0.75, 0.2]}


def three_seeds():
    for seed, losses in SEEDS.items():
        write_run(f"runs/s{seed}", [record(4 * i + 4, "eval" if i < 2 else "final",
                                           test_loss=v, test_accuracy=1 - v / 2)
                                    for i, v in enumerate(losses)], seed, lr=0.1)


def numbers():
    three_seeds()
    write_run("runs/other", [record(4, test_loss=0.7, test_accuracy=0.2),
                             record(8, "final", test_loss=0.8, test_accuracy=0.25)], lr=0.2)
    text = report("runs", "--out=out")
    final = [v[-1] for v in SEEDS.values()]
    best = [max(1 - v / 2 for v in losses) for losses in SEEDS.values()]
    row = Page(read("out/index.html")).row("lr=0.1")
    for cell, values in ((row[5], final), (row[8], best)):
        mean, error = re.match(r"([\d.]+) \u00b1 ([\d.]+)", cell).groups()
        digits = 0.5 * 10 ** -len(error.split(".")[1])
        want = statistics.mean(values)
        spread = statistics.stdev(values) / math.sqrt(len(values))
        assert abs(float(mean) - want) <= digits * 1.001, (cell, want)
        assert abs(float(error) - spread) <= digits * 1.001, (cell, spread)
    assert row[1] == "3 of 3" and row[2] == "12" and row[3] == "1.50 s", row
    assert "\u2605" in row[5] and "\u2605" in row[8], row
    other = Page(read("out/index.html")).row("lr=0.2")
    assert other[5] == "0.8" and other[6] == "0.7" and other[8] == "0.25", other
    assert "* 0.320 \u00b1 0.062" in text, text


def mean_and_band():
    three_seeds()
    report("runs", "--out=out", "--log-y=no")
    columns = list(zip(*SEEDS.values()))
    means = [statistics.mean(c) for c in columns]
    errors = [statistics.stdev(c) / math.sqrt(3) for c in columns]
    curves = plots("out/loss.svg")
    # The band is drawn first, then three runs, then the mean.
    assert_shape(curves[5][:-0 or None], means, "mean")
    band = ET.parse("out/loss.svg").find(f".//{SVG}g[@id='gnuplot_plot_1']//{SVG}polygon")
    data = band.get("points") if band is not None else None
    points = [tuple(map(float, p)) for p in re.findall(r"(-?[\d.]+),(-?[\d.]+)", data)]
    outline = [m - e for m, e in zip(means, errors)], [m + e for m, e in zip(means, errors)]
    heights = sorted({round(-y, 2) for _, y in points})
    want = shape_of(sorted(outline[0] + outline[1]))
    for a, b in zip(shape_of(heights), want, strict=True):
        assert abs(a - b) < 2e-4, (shape_of(heights), want)


def smoothing():
    values = [3.0, 1.0, 2.0, 0.5, 0.25, 1.5, 1.0]
    write_run("run", [record(i, "step", train_loss=v) for i, v in enumerate(values)])
    report("run", "--out=ema", "--smooth=0.6", "--log-y=no")
    state, weight, want = 0, 0, []
    for value in values:
        state, weight = 0.6 * state + 0.4 * value, 0.6 * weight + 0.4
        want.append(state / weight)
    assert_shape(plots("ema/loss.svg")[2], want, "exponential")
    report("run", "--out=mean", "--smooth=5", "--log-y=no")
    want = []
    for i in range(len(values)):
        half = min(2, i, len(values) - 1 - i)
        want.append(statistics.mean(values[i - half:i + half + 1]))
    assert_shape(plots("mean/loss.svg")[2], want, "window")
    assert_shape(plots("mean/loss.svg")[1], values, "raw")


def files():
    three_seeds()
    report("runs", "--out=out")
    assert sorted(os.listdir("out")) == ["accuracy.png", "accuracy.svg", "index.html", "loss.png",
                                         "loss.svg"], os.listdir("out")
    for name in ("accuracy", "loss"):
        root = ET.parse(f"out/{name}.svg").getroot()
        assert root.find(f"{SVG}title").text == name
        assert root.find(f"{SVG}desc").text.startswith("Curves of")
        with open(f"out/{name}.png", "rb") as file:
            data = file.read()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
        body, at = b"", 8
        while at < len(data):
            length, kind = struct.unpack(">I4s", data[at:at + 8])
            body += data[at + 8:at + 8 + length] if kind == b"IDAT" else b""
            at += 12 + length
        channels = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
        assert len(zlib.decompress(body)) == height * (1 + (width * depth * channels + 7) // 8)
    report("runs", "--out=again")
    assert read("out/index.html") == read("again/index.html")
    report("runs", "--out=svg", "--format=svg")
    assert sorted(os.listdir("svg")) == ["accuracy.svg", "loss.svg"]


def alone():
    three_seeds()
    report("runs", "--out=out")
    page = Page(read("out/index.html"))
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert name not in ("src", "href", "action") or value.startswith(("data:", "#")), value
        assert not name.startswith("on"), (tag, name)
    assert not re.search(r"url\(|@import", read("out/index.html"))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids)), "ids are not unique"
    assert page.tags.count("svg") == 2
    assert all(value for tag, name, value in page.attributes if name == "aria-label")


HOSTILE = ["<script>alert(1)<", "'; system('touch pwned') #", "`touch pwned`", "$(touch pwned)",
           "\" onload=\"touch", "a'''b\\", "]]>--><!--&lt;", "@ARG0 %s %n {/Symbol a}",
           "\u202etxt", "line\nbreak\tand\x01control", "id='x' href='#y'"]


def hostile_names():
    for index, name in enumerate(HOSTILE):
        values = {f"test_{name}": 0.5 + index}
        write_run("runs/" + name.replace("/", "-"), [record(1, **values), record(2, "final", **values),
                                   {"event": "eval", "step": 3, "wall": 1, name: index}],
                  optimizer=name)
    report("runs", "--out=out", "--title=<b>`touch pwned`</b>")
    assert not os.path.exists("pwned")
    text = read("out/index.html")
    page = Page(text)
    assert not {"script", "b", "object"} & set(page.tags), page.tags
    assert not [a for a in page.attributes if a[1].startswith("on")]
    assert "<script>alert(1)<" in page.text and "'; system('touch pwned') #" in page.text
    assert "\x01" not in text and "\u202e" not in text
    drawn = ""
    for name in os.listdir("out"):
        assert not re.search(r"[^\w.-]", name), name
        if name.endswith(".svg"):
            root = ET.parse(f"out/{name}").getroot()
            assert not [e for e in root.iter() if e.tag.endswith("script")]
            drawn += "".join(root.itertext())
    assert "`touch pwned`" in drawn and "$(touch pwned)" in drawn and "{/Symbol a}" in drawn
    assert "'; system('touch pwned') #" in drawn


def damaged_lines():
    write_run("run", [record(1, test_loss=0.5), '{"event":"eval","step":2,"wall":1,"test/lo',
                      "not json", '{"event":"eval","wall":1,"test/loss":1}', "[1]", "",
                      '{"step":3,"test/loss":0x10}', '{"step":3,"test/loss":NaN}',
                      '{"step":4,"deep":' + "[" * 100000 + "]" * 100000 + "}",
                      '{"step":5,"nested":{"a":[1,{"b":"}"}]},"test/loss":0.25}'])
    report("run", "--out=out")
    page = Page(read("out/index.html"))
    assert "7 damaged lines of metrics.jsonl are left out" in page.text
    row = next(row for row in page.rows[1:] if row[0] == "run")
    assert row[5:7] == ["0.25", "0.25"], row


def not_finite():
    values = [1.0, 2.0, None, None, 3.0, 2.5]
    write_run("run", [{**record(i, train_loss=v), **({"train/loss/not_finite": "inf"} if v is None
                                                     else {})} for i, v in enumerate(values)])
    report("run", "--out=out", "--log-y=no")
    page = read("out/index.html")
    assert "A cross marks where values cease to be finite" in page
    curve = ET.parse("out/loss.svg").find(f".//{SVG}g[@id='gnuplot_plot_1']")
    lines = [p.get("d") for p in curve.iter(f"{SVG}path")]
    # The legend's sample and one line on each side of the gap.
    assert len(lines) == 1 and re.sub(r"[^ML]", "", lines[0]) == "MLMLML", lines
    marks = ET.parse("out/loss.svg").find(f".//{SVG}g[@id='gnuplot_plot_2']")
    assert len(list(marks.iter(f"{SVG}use"))) == 1


def little_data():
    write_run("runs/point", [record(5, "final", test_loss=0.25)])
    write_run("runs/nothing", [], lr=0.3)
    write_run("runs/never", [record(5, test_loss=None), record(6, test_loss=None)], lr=0.4)
    write_run("runs/longer", [record(s, test_loss=1 / s) for s in range(1, 30)], lr=0.5)
    report("runs", "--out=out")
    report("runs/point", "runs/nothing", "--out=two")
    report("runs/nothing", "--out=none")
    report("runs/never", "--out=never")
    report("runs/point", "--out=log", "--log-x=yes", "--log-y=yes")
    assert "no finite values" in read("never/loss.svg")
    # A single value is in the table; a curve of one point would say nothing more.
    for folder in ("two", "log"):
        assert os.listdir(folder) == ["index.html"] and "<h2>Figures" not in read(f"{folder}/index.html")
        assert "0.25" in Page(read(f"{folder}/index.html")).row("point")
    assert "loss.svg" in " ".join(os.listdir("never")) and "test-loss.svg" in os.listdir("out")


def many_lines():
    n, spike = 200_000, 123_457
    write_run("run", ('{"event":"step","step":%d,"wall":%g,"train/loss":%g}'
                      % (i, i / 100, 9 if i == spike else 1 + (i * 7919 % 1000) / 1000)
                      for i in range(n)))
    report("run", "--out=out", "--log-y=no", "--format=svg")
    assert os.path.getsize("out/loss.svg") < 120_000, os.path.getsize("out/loss.svg")
    points = plots("out/loss.svg")[1]
    top = min(points[2:], key=lambda p: p[1])
    left, right = min(p[0] for p in points[2:]), max(p[0] for p in points[2:])
    assert abs((top[0] - left) / (right - left) - spike / n) < 2e-3, top
    assert sorted(y for _, y in points[2:])[1] - top[1] > 100


def scales():
    write_run("decay", [record(s, test_loss=10.0 ** -s, test_accuracy=s / 10) for s in range(5)])
    report("decay", "--out=auto")
    assert "0.0001" in "".join(ET.parse("auto/loss.svg").getroot().itertext())
    heights = [y for _, y in plots("auto/loss.svg")[1]][-5:]
    steps = [b - a for a, b in zip(heights, heights[1:])]
    assert max(steps) - min(steps) < 0.05, steps
    report("decay", "--out=linear", "--log-y=no")
    assert_shape(plots("linear/loss.svg")[1], [10.0 ** -s for s in range(5)], "linear")
    report("decay", "--out=wall", "--x=wall")
    assert "seconds" in read("wall/loss.svg")
    assert "--x=epoch" in report("decay", "--x=epoch", code=2)
    write_run("whole", [record(10, test_loss=1), record(20, "final", test_loss=2)])
    report("whole", "--out=epoch", "--x=epoch")
    assert "epoch" in read("epoch/loss.svg")


def pictures():
    three_seeds()
    os.mkdir("runs/s0/images")
    pixel = (b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in
        ((b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
         (b"IDAT", zlib.compress(b"\0\x80")), (b"IEND", b""))))
    for name in ("samples-9", "samples-10", "<x>"):
        with open(f"runs/s0/images/{name}.png", "wb") as file:
            file.write(pixel)
    with open("runs/s0/images/zz.png", "wb") as file:
        file.write(b"<svg onload=alert(1)>")
    report("runs", "--out=out")
    page = Page(read("out/index.html"))
    names = [value for tag, name, value in page.attributes if tag == "img" and name == "alt"]
    assert names == ["Picture <x>", "Picture samples-9", "Picture samples-10"], names
    assert page.tags.count("img") == 3 and "1 are damaged" in page.text


def differences():
    write_run("runs/a", [record(1, test_loss=1)], optimizer="sgd", lr=0.1, momentum=0.9)
    write_run("runs/b", [record(1, test_loss=2)], optimizer="sgd", lr=0.3, momentum=0.9)
    write_run("runs/c", [record(1, test_loss=3)], optimizer="adam.so", lr=0.1)
    report("runs", "--out=out")
    page = Page(read("out/index.html"))
    assert page.row("setting")[1:] == ["sgd, lr=0.1", "sgd, lr=0.3", "adam"], page.row("setting")
    assert page.row("optimizer.lr")[1:] == ["0.1", "0.3", "0.1"]
    assert page.text.index("What differs") < page.text.index("optimizer.lr")
    top = [row[0] for row in page.rows[page.rows.index(page.row("setting")) + 1:]][:3]
    assert top == ["optimizer.plugin", "optimizer.lr", "optimizer.momentum"], top


def begin_at_zero():
    write_run("near-run", [record(i, test_loss=v) for i, v in enumerate([0.82, 0.3, 0.02])])
    report("near-run", "--out=near")
    write_run("below-run", [record(i, test_loss=v) for i, v in enumerate([0.82, -0.01, 0.02])])
    report("below-run", "--out=below")
    write_run("far-run", [record(i, test_loss=v) for i, v in enumerate([0.82, 0.5, 0.4])])
    report("far-run", "--out=far")
    least = {}
    for name in ("near", "below", "far"):
        texts = ["".join(t.itertext()).strip() for t in ET.parse(f"{name}/loss.svg").iter(f"{SVG}text")]
        least[name] = min(float(t) for t in texts if re.fullmatch(r"-?[\d.]+", t))
    assert least["near"] == 0 and least["below"] < 0, least
    # Ticks of steps begin at 0 as well: the curve itself must not be pressed to the top.
    heights = [y for _, y in plots("far/loss.svg")[1][-3:]]
    assert max(heights) - min(heights) > 150, heights


def equals():
    for name, loss in (("a", 0.5), ("b", 0.5), ("c", 0.6)):
        write_run(f"runs/{name}", [record(4, "final", test_loss=loss)], lr=ord(name))
    report("runs", "--out=out")
    page = Page(read("out/index.html"))
    marked = [["\u2605" in cell for cell in page.row(f"lr={ord(name)}")[5:7]] for name in "abc"]
    assert marked == [[True, True], [True, True], [False, False]], marked
    # What is the same for all is no merit of any; what only one has is.
    for name, loss, accuracy in (("d", 0.5, 0.25), ("e", 0.5, None)):
        write_run(f"same/{name}", [record(4, "final", test_loss=loss, test_accuracy=accuracy)], lr=ord(name))
    report("same", "--out=constant")
    page = Page(read("constant/index.html"))
    marked = [["\u2605" in cell for cell in page.row(f"lr={ord(name)}")[5:9]] for name in "de"]
    assert marked == [[False, False, True, True], [False] * 4], marked


def many_metrics():
    names = [f"slope_{i:02}" for i in range(80)] + ["test_loss"]
    write_run("run", [record(s, **{name: s + 1 for name in names}) for s in range(3)]
              + [record(2, "final", test_loss=3)])
    text = report("run", "--out=out", "--format=html,svg")
    # What is measured on test data goes before all else.
    assert "60 of 81 metrics are shown; --metrics=" in text, text
    assert len(os.listdir("out")) == 61 and os.path.exists("out/loss.svg"), os.listdir("out")
    assert "60 of 81 metrics" in Page(read("out/index.html")).text
    text = report("run", "--out=some", "--format=svg", "--metrics=slope/7?,slope/1*")
    assert sorted(os.listdir("some")) == [f"slope-{i}.svg" for i in (*range(10, 20), *range(70, 80))]
    assert "metrics are shown" not in text and "loss" not in text, text
    report("run", "--out=all", "--format=svg", "--metrics=*")
    assert len(os.listdir("all")) == 81
    assert "'slope' matches no metric of these runs: there are test/loss, slope/00" in report(
        "run", "--metrics=slope", code=2)


def several_at_a_step():
    write_run("run", [record(s, batch_size=b, noise_v=s + 1 / b, alpha_v=s)
                      for s in (1, 2) for b in (1, 4)]
              + [record(s, "step", train_loss=s) for s in (1, 2)]
              + [record(s, train_loss=s + 9) for s in (1, 2)] + [record(2, "final", train_loss=3)])
    text = report("run", "--out=out", "--format=html,svg")
    # Means over steps, an evaluation and the end at one step are no repetition.
    assert sorted(os.listdir("out")) == ["index.html", "loss.svg"], os.listdir("out")
    assert "3 metrics were recorded several times at a step" in text, text
    assert "noise/v" not in text


def missing_gnuplot():
    three_seeds()
    text = report("runs", code=1, env={**os.environ, "PATH": "/nonexistent"})
    assert "apt-get install gnuplot-nox" in text and not os.path.exists("report"), text


def refusals():
    three_seeds()
    for arguments, code, words in (
            ((), 2, "report takes RUN..."), (("nowhere",), 4, "no such folder"),
            ((".", ), 4, "neither a run folder"), (("runs", "--x=time"), 2, "step, epoch, wall"),
            (("runs", "--smooth=nan"), 2, "--smooth"), (("runs", "--smooth=1.5"), 2, "--smooth"),
            (("runs", "--format=pdf"), 2, "html, svg, png"), (("runs", "--log-y=1"), 2, "--log-y"),
            (("runs", "--band=sd"), 2, "error, range")):
        text = report(*arguments, code=code)
        assert words in text and text.count("\n") == 1, text
    with open("runs/s0/config.json", "w", encoding="utf-8") as file:
        file.write("{")
    assert "config.json" in report("runs", code=2)


case("/report/numbers/as-computed", numbers)
case("/report/seeds/mean-and-band", mean_and_band)
case("/report/smoothing/as-defined", smoothing)
case("/report/files/svg-and-png-are-whole", files)
case("/report/page/stands-alone", alone)
case("/report/names/inject-nothing", hostile_names)
case("/report/damaged-lines/counted", damaged_lines)
case("/report/not-finite/gap-and-mark", not_finite)
case("/report/little-data/drawn", little_data)
case("/report/many-lines/extremes-kept", many_lines)
case("/report/scales/by-the-data", scales)
case("/report/scales/begin-at-zero", begin_at_zero)
case("/report/summary/equals-equally-marked", equals)
case("/report/pictures/embedded", pictures)
case("/report/differences/first", differences)
case("/report/many-metrics/capped-or-chosen", many_metrics)
case("/report/several-at-a-step/no-curve", several_at_a_step)
case("/report/gnuplot-missing/says-what-to-install", missing_gnuplot)
case("/report/bad-input/refused", refusals)
results.finish()
