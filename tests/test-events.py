# SPDX-License-Identifier: MIT
"""TensorBoard's event files as a run writes them, read by a decoder that shares nothing with the writer.
Usage: test-events.py DLHOST"""
import bisect
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
import zlib

import tap

DLHOST = os.path.abspath(sys.argv[1])
DIR = pathlib.Path(tempfile.mkdtemp())
IMAGES = "--model=mlp,dropout=0.2 --dataset=synthetic,kind=images,size=8,n=192,test=20 --batch=32 --threads=1".split()
LIMIT = 60


def dlhost(*args, code=0):
    done = subprocess.run([DLHOST, *args], cwd=DIR, timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def train(out, *args):
    return dlhost(*IMAGES, "--optimizer=adam", f"--out={out}", *args)


# The decoder.


def crc_of_byte(crc):
    for _ in range(8):
        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc


TABLE = [crc_of_byte(byte) for byte in range(256)]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xffffffff


assert crc32c(b"123456789") == 0xe3069283  # the check value of RFC 3720's polynomial


def unmask(value):
    value = (value - 0xa282ead8) & 0xffffffff
    return (value << 15 | value >> 17) & 0xffffffff


def read_records(data):
    """The messages up to the first record that is not whole."""
    at = 0
    while at + 12 <= len(data):
        n, check = struct.unpack_from("<QI", data, at)
        assert unmask(check) == crc32c(data[at:at + 8])
        if at + 16 + n > len(data):
            break
        message = data[at + 12:at + 12 + n]
        assert unmask(struct.unpack_from("<I", data, at + 12 + n)[0]) == crc32c(message)
        yield message
        at += 16 + n


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """{number: [value]}"""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            n, at = varint(data, at)
            assert at + n <= len(data)
            value, at = data[at:at + n], at + n
        else:
            kind, n = {1: ("<d", 8), 5: ("<f", 4)}[key & 7]
            value, at = struct.unpack_from(kind, data, at)[0], at + n
        found.setdefault(key >> 3, []).append(value)
    return found


def doubles(data):
    return list(struct.unpack(f"<{len(data) // 8}d", data))


def files(out):
    return sorted((DIR / out).glob("events.out.tfevents.*"))


def curves(out):
    """{tag: [(step, kind, value)]}: all files in order; a session's start makes later steps void."""
    tags, wall = {}, 0
    for path in files(out):
        for i, message in enumerate(read_records(path.read_bytes())):
            event = fields(message)
            assert abs(event[1][0] - time.time()) < 3600 and event[1][0] >= wall
            wall, step = event[1][0], event.get(2, [0])[0]
            if i == 0:
                assert event[3] == [b"brain.Event:2"]
            for log in event.get(7, []):
                assert fields(log) == {1: [1]}
                for tag in tags:
                    tags[tag] = [point for point in tags[tag] if point[0] < step]
            for value in fields(event[5][0])[1] if 5 in event else []:
                value = fields(value)
                (kind, content), = [(k, v[0]) for k, v in value.items() if k != 1]
                tags.setdefault(value[1][0].decode(), []).append((step, kind, content))
    return tags


def kind_of(tags, kind):
    return {tag: [(step, value) for step, k, value in points] for tag, points in tags.items() if points[0][1] == kind}


def records(out):
    return [json.loads(line) for line in open(DIR / out / "metrics.jsonl")]


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def read_checkpoint(path):
    data = path.read_bytes()
    n, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] == "F32":
            tensors[name] = struct.unpack(f"<{(end - begin) // 4}f", data[8 + n + begin:8 + n + end])
    return tensors, data[8 + n:]


# The tests.


def scalars_are_the_metrics():
    train("scalars", "--steps=20", "--task.log=3")
    want = {}
    for record in records("scalars"):
        for name, value in record.items():
            if name not in ("event", "step", "wall", "cpu"):
                want.setdefault(name, []).append((record["step"], float32(value)))
    got = kind_of(curves("scalars"), 2)
    assert set(got) == set(want) == {"train/loss", "train/accuracy", "test/loss", "test/accuracy"}, got
    for name, points in want.items():
        assert [step for step, value in got[name]] == [step for step, value in points]
        # metrics.jsonl has nine digits.
        assert all(abs(a - b) <= 1e-7 * abs(b) for (_, a), (_, b) in zip(got[name], points)), name


def histograms_count_all():
    limits, v = [], 1e-12
    while v < 1e20:
        limits.append(v)
        v *= 1.1
    largest = sys.float_info.max
    limits = [-largest] + [-v for v in reversed(limits)] + [0.0] + limits + [largest]
    train("histograms", "--steps=20")
    tags = kind_of(curves("histograms"), 5)
    tensors, _ = read_checkpoint(DIR / "histograms" / "checkpoint-20.safetensors")
    names = {tag.removeprefix("values/") for tag in tags if tag.startswith("values/")}
    assert names == {tag.removeprefix("gradients/") for tag in tags if tag.startswith("gradients/")}
    assert "mlp/output/weight" in names and not any(name.startswith("adam") for name in names), names
    for name in names:
        values = tensors[name]
        assert [step for step, _ in tags["values/" + name]] == [6, 12, 18, 20]
        h = fields(tags["values/" + name][-1][1])
        ends, counts = doubles(h[6][0]), doubles(h[7][0])
        assert (h[1], h[2], h[3]) == ([min(values)], [max(values)], [len(values)])
        assert abs(h[4][0] - sum(values)) <= 1e-9 and abs(h[5][0] - sum(v * v for v in values)) <= 1e-9
        # A bucket ends at one of the limits; what lies in it is counted here by bisection.
        assert set(ends) <= set(limits) and ends == sorted(set(ends))
        want = {}
        for v in values:
            end = limits[bisect.bisect_right(limits, v)]
            want[end] = want.get(end, 0) + 1
        assert {e: n for e, n in zip(ends, counts) if n} == want, name
        assert not any(a == b == 0 for a, b in zip(counts, counts[1:]))


def images_are_png():
    train("pictures", "--steps=20")
    points = kind_of(curves("pictures"), 4)["samples"]
    assert [step for step, _ in points] == [0, 20]
    for step, value in points:
        image = fields(value)
        data = (DIR / "pictures" / "images" / f"samples-{step}.png").read_bytes()
        assert image[4] == [data] and data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
        assert ([height], [width], [3]) == (image[1], image[2], image[3]) and (depth, colour) == (8, 2)
        # 16 pictures with frame and bars, 8 + 2 by 8 + 3 + 8 pixels, enlarged up to 96 pixels.
        scale = 96 // 19
        assert (width, height) == (4 * (10 * scale + 2) + 2, 4 * (19 * scale + 2) + 2), (width, height)
        raw = zlib.decompress(b"".join(chunks(data, b"IDAT")))
        assert len(raw) == height * (1 + 3 * width)


def pixels(data):
    """Rows of (red, green, blue) of a PNG of 8 bits a channel without transparency."""
    width, height = struct.unpack(">II", data[16:24])
    raw = zlib.decompress(b"".join(chunks(data, b"IDAT")))
    above, rows = bytes(3 * width), []
    for y in range(height):
        kind, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for x, value in enumerate(line):
            left, up, corner = (line[x - 3], above[x], above[x - 3]) if x >= 3 else (0, above[x], 0)
            paeth = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
            line[x] = (value + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        above = bytes(line)
        rows.append([tuple(line[x:x + 3]) for x in range(0, 3 * width, 3)])
    return rows


def reconstructions_come_near():
    """An autoencoder's pictures: inputs above, below a dark row what it makes of them."""
    dlhost("--model=autoencoder,hidden=[48],code=16", *IMAGES[1:], "--optimizer=adam,lr=0.01", "--steps=300",
           "--task.evaluate=300", "--out=rebuilt")
    scale, border = 96 // 17, 2  # 8 by 8 + 1 + 8 pixels, enlarged up to 96 pixels
    inputs, distances = [], []
    for step in (0, 300):
        rows = pixels((DIR / "rebuilt" / "images" / f"samples-{step}.png").read_bytes())
        assert (len(rows[0]), len(rows)) == (4 * (8 * scale + 2) + 2, 4 * (17 * scale + 2) + 2)
        above, below = [], []
        for i in range(16):
            left, top = border + i % 4 * (8 * scale + 2), border + i // 4 * (17 * scale + 2)
            small = [[rows[top + y * scale][left + x * scale] for x in range(8)] for y in range(17)]
            assert all(r == g == b for row in small for r, g, b in row)
            assert set(small[8]) == {(0, 0, 0)}, small[8]
            above += [value for row in small[:8] for value, _, _ in row]
            below += [value for row in small[9:] for value, _, _ in row]
        assert len(set(above)) > 50
        inputs.append(above)
        distances.append(sum(abs(a - b) for a, b in zip(above, below)) / len(above))
    assert inputs[0] == inputs[1]
    assert distances[1] < 0.5 * distances[0], distances


def chunks(data, kind):
    at = 8
    while at < len(data):
        n, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + n]
        assert struct.unpack_from(">I", data, at + 8 + n)[0] == zlib.crc32(name + body)
        if name == kind:
            yield body
        at += 12 + n


def looking_changes_nothing():
    train("looked", "--steps=20")
    train("blind", "--steps=20", "--task.images=0", "--task.histograms=false")
    assert set(kind_of(curves("blind"), 2)) == set(curves("blind"))
    assert not (DIR / "blind" / "images").exists()
    a, b = (read_checkpoint(DIR / out / "checkpoint-20.safetensors")[1] for out in ("looked", "blind"))
    assert a == b
    strip = lambda out: [{k: v for k, v in line.items() if k not in ("wall", "cpu")} for line in records(out)]
    assert strip("looked") == strip("blind")


def kills_leave_one_curve():
    args = ["--steps=1200", "--task.log=5", "--task.checkpoint=70", "--task.evaluate=100", "--quiet"]
    train("whole", *args)
    kills = 0
    for at in (30, 90, 150, 200):
        begun = list((DIR / "cut").glob("checkpoint-*"))
        if not begun:
            shutil.rmtree(DIR / "cut", ignore_errors=True)
        line = ["resume", "cut", "--quiet"] if begun else [*IMAGES, "--optimizer=adam", "--out=cut", *args]
        process = subprocess.Popen([DLHOST, *line], cwd=DIR)
        metrics = DIR / "cut" / "metrics.jsonl"
        end = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < end:
            if metrics.exists() and metrics.read_bytes().count(b"\n") >= at:
                break
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    dlhost("resume", "cut", "--quiet")
    assert len(files("cut")) > 1
    assert curves("cut") == curves("whole")
    dlhost("resume", "cut", "--quiet")  # has nothing left to do
    assert curves("cut") == curves("whole")


def resumed_steps_replace():
    """A step beside the checkpoint's is written anew, the checkpoint's own is not lost."""
    args = ["--steps=16", "--task.log=3", "--task.checkpoint=5", "--task.keep=9", "--quiet"]
    train("thirds", *args)
    for step in (5, 15):
        again = f"thirds-{step}"
        shutil.copytree(DIR / "thirds", DIR / again)
        for path in (DIR / again).glob("checkpoint-*"):
            if path.name != f"checkpoint-{step}.safetensors":
                path.unlink()
        dlhost("resume", again, "--quiet")
        assert len(files(again)) == 2
        assert [at for at, _ in kind_of(curves(again), 2)["train/loss"]][:5] == [3, 6, 9, 12, 15]
        assert curves(again) == curves("thirds")


def cut_files_are_read():
    train("short", "--steps=10", "--task.log=2")
    path, = files("short")
    data = path.read_bytes()
    n = len(list(read_records(data)))
    counts = [len(list(read_records(data[:k]))) for k in range(0, len(data), 97)]
    assert counts == sorted(counts) and counts[-1] == n - 1
    path.write_bytes(data[:-5])
    dlhost("resume", "short", "--steps=12")
    assert [step for step, _ in kind_of(curves("short"), 2)["train/loss"]] == [2, 4, 6, 8, 10, 12]


def evaluation_has_pictures():
    train("model", "--steps=20")
    dlhost(*IMAGES, "--task=evaluate,images=5", "--checkpoint=model/checkpoint-20.safetensors", "--out=scored")
    assert [path.name for path in (DIR / "scored" / "images").iterdir()] == ["samples-20.png"]
    assert set(kind_of(curves("scored"), 2)) == {"test/loss", "test/accuracy"}
    # What are no pictures is not shown.
    dlhost("--model=mlp", "--dataset=synthetic,kind=blobs,dims=8,n=64", "--optimizer=sgd", "--steps=2", "--out=blobs")
    assert not (DIR / "blobs" / "images").exists()


TESTS = [
    ("/events/scalars/are-the-metrics", scalars_are_the_metrics),
    ("/events/histograms/count-all", histograms_count_all),
    ("/events/images/are-png", images_are_png),
    ("/events/images/reconstructions-come-near", reconstructions_come_near),
    ("/events/looking/changes-nothing", looking_changes_nothing),
    ("/events/kills/one-curve", kills_leave_one_curve),
    ("/events/resume/steps-replaced", resumed_steps_replace),
    ("/events/cut-file/prefix-is-read", cut_files_are_read),
    ("/events/evaluate/has-pictures", evaluation_has_pictures),
]


def main():
    failed = tap.run_all(TESTS)
    shutil.rmtree(DIR, ignore_errors=True)
    sys.exit(failed > 0)


main()
