# SPDX-License-Identifier: MIT
"""Reads a run folder's event files with the official tensorboard package and compares what it shows
with the folder: scalars with metrics.jsonl, pictures with images/, and each curve's steps.

usage: check-tensorboard.py RUN     (needs: pip install tensorboard)"""
import json
import pathlib
import sys

from tensorboard import version
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
shown = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0}).Reload()
tags = shown.Tags()
problems = []


def check(condition, text):
    if not condition:
        problems.append(text)


want = {}
for line in open(run / "metrics.jsonl"):
    record = json.loads(line)
    for name, value in record.items():
        if name not in ("event", "step", "wall", "cpu") and isinstance(value, (float, int)):
            want.setdefault(name, {})[record["step"]] = value

print(f"tensorboard {version.VERSION}, {len(list(run.glob('events.out.tfevents.*')))} event files")
check(set(tags["scalars"]) == set(want), f"scalars are {tags['scalars']}, wanted are {sorted(want)}")
for name in sorted(want):
    got = [(event.step, event.value) for event in shown.Scalars(name)]
    check([step for step, _ in got] == list(want[name]), f"{name}: steps {[step for step, _ in got]}")
    # Event files hold floats.
    check(all(abs(value - want[name][step]) <= 1e-6 * abs(value) for step, value in got), f"{name}: values")
    print(f"scalar     {name}: {len(got)} points, the last {got[-1][1]:.6g} at step {got[-1][0]}")
for name in tags["histograms"]:
    events = shown.Histograms(name)
    steps = [event.step for event in events]
    value = events[-1].histogram_value
    check(steps == sorted(set(steps)), f"{name}: steps {steps}")
    check(sum(value.bucket) == value.num and len(value.bucket) == len(value.bucket_limit), f"{name}: counts")
    print(f"histogram  {name}: {len(events)}, the last of {value.num:.0f} values in [{value.min:.4g}, {value.max:.4g}]")
for name in tags["images"]:
    for event in shown.Images(name):
        file = run / "images" / f"{name}-{event.step}.png"
        check(file.read_bytes() == event.encoded_image_string, f"{file} is another picture")
        print(f"image      {name}: {event.width} x {event.height} at step {event.step}")
for problem in problems:
    print(f"PROBLEM    {problem}")
print("as in the folder" if not problems else f"{len(problems)} problems")
sys.exit(bool(problems))
