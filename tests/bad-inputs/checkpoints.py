# SPDX-License-Identifier: MIT
"""Checkpoints: what a file may not be, and where one cannot be written."""
import os
import resource
import struct

from common import (EVALUATE, SMALL, TRAIN, Place, Row, both, changed_checkpoint, checkpoint_bytes,
                    copy_run, safetensors, split_checkpoint, write)

NAME = "mlp/layer1/weight"  # of the good run


def load(text, code, content, **more):
    return Row("checkpoints", text, [*EVALUATE, "--checkpoint=c.safetensors"], code,
               write("c.safetensors", content) if content is not None else None, **more)


def header(text, head, data=b"", length=None, **more):
    return load(text, 4, lambda: safetensors(head, data, length), **more)


def one(shape="[1]", place="[0,4]", dtype='"F32"', name="a"):
    return f'{{"{name}":{{"dtype":{dtype},"shape":{shape},"data_offsets":{place}}}}}'


def two(first, second, name="b"):
    return (f'{{"a":{{"dtype":"U8","shape":[2],"data_offsets":{first}}},'
            f'"{name}":{{"dtype":"U8","shape":[2],"data_offsets":{second}}}}}')


def resume(text, code, make, args=(), **more):
    return Row("checkpoints", text, ["resume", "run", "--quiet", *args], code, make, **more)


def change_file(name, change):
    def make(directory):
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(change(data))
    return make


def without(*names):
    """The good checkpoint without the tensors whose name ends so."""
    def change(head, data):
        kept, begin = bytearray(), 0
        for name in sorted((n for n in head if n != "__metadata__"),
                           key=lambda n: head[n]["data_offsets"]):
            lo, hi = head[name]["data_offsets"]
            if name.endswith(names):
                del head[name]
                continue
            kept += data[lo:hi]
            head[name]["data_offsets"] = [begin, begin + hi - lo]
            begin += hi - lo
        return kept
    return changed_checkpoint(change)


def weights(head):
    return next(n for n in sorted(head) if n.endswith("weight"))


def renamed(head, data):
    head["renamed"] = head.pop(weights(head))
    return data


def reshaped(head, data):
    head[weights(head)]["shape"].reverse()
    return data


def retyped(head, data):
    head[weights(head)]["dtype"] = "I32"
    return data


def all_nan(head, data):
    lo, hi = head[weights(head)]["data_offsets"]
    data[lo:hi] = struct.pack("<f", float("nan")) * ((hi - lo) // 4)
    return data


def flip(data):
    data = bytearray(data)
    data[-3] ^= 4
    return bytes(data)


def many_keys():
    entries = ",".join(f'"t{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
                       for i in range(1000000))
    return safetensors("{" + entries + "}", b"x")


def big_endian():
    head, data = split_checkpoint(checkpoint_bytes())
    n = len(safetensors(head)) - 8
    return struct.pack(">Q", n) + safetensors(head)[8:] + data


def leftovers(directory):
    """What a kill in the middle of a save leaves, and other names that are no checkpoints."""
    copy_run(directory)
    for name in (".checkpoint-9.safetensors.0badcafe", "checkpoint-x.safetensors",
                 "checkpoint-99.safetensors.tmp"):
        write(os.path.join("run", name), b"half")(directory)


def half_newer(directory):
    copy_run(directory)
    write("run/checkpoint-9.safetensors", checkpoint_bytes()[:200])(directory)


def same_folder_twice(directory, _out):
    names = os.listdir(os.path.join(directory, "run"))
    return None if not any(n.startswith(".") for n in names) else f"left: {names}"


ROWS = [
    load("checkpoint that is not there", 4, None),
    *[load(f"file of {n} bytes", 4, b"\x01" * n) for n in (0, 1, 7)],
    header("header of length 0", b""),
    header("header of length 1", b"{"),
    header("header of length 2^31", b"{}", length=1 << 31),
    header("header of length 2^63", b"{}", length=1 << 63),
    header("header of length 2^64 - 1", b"{}", length=(1 << 64) - 1),
    header("header beyond the end of the file", b"{}", length=3),
    load("header's length with its bytes reversed", 4, big_endian, vary=(r"\d+ bytes",)),
    header("header that begins with a blank", " {}"),
    header("header that is a list", "[]"),
    header("header that is not UTF-8", b'{"\xff":1}'),
    header("header with a million brackets", '{"a":' + "[" * 1000000),
    load("header with a million tensors", 4, many_keys, times=30),
    header("one name twice", two("[0,2]", "[2,4]", "a"), b"1234"),
    header("element type that is unknown", one(dtype='"F31"'), b"1234"),
    header("size that is negative", one("[-1]"), b"1234"),
    header("size that is a fraction", one("[1.5]"), b"1234"),
    header("size 1e400", one("[1e400]"), b"1234"),
    header("size that is a text", one('["1"]'), b"1234"),
    header("product of sizes beyond 64 bits", one("[4294967296,4294967296]"), b"1234"),
    header("product of sizes that wraps to the right one", one("[4611686018427387905]"), b"1234"),
    header("data that end before they begin", one(place="[4,0]"), b"1234"),
    header("data beyond the file", one(place="[0,8]", shape="[2]"), b"1234"),
    header("data of another size than type and shape say", one(place="[0,2]"), b"12"),
    header("tensors that overlap", two("[0,2]", "[1,3]"), b"123"),
    header("hole between tensors", two("[0,2]", "[3,5]"), b"12345"),
    header("bytes behind the last tensor", one(), b"12345"),
    header("name with a NUL", one(name="a\\u0000b"), b"1234"),
    header("name of 100 000 bytes and a wrong size", one(place="[0,3]", name="n" * 100000), b"123"),
    header("metadata that are numbers", '{"__metadata__":{"a":1}}'),
    load("name with .. (it is no path) and nothing else", 4, lambda: safetensors(one(name="../../a"), b"1234")),
    load("variable missing", 4, without("weight")),
    load("variable of another name", 4, changed_checkpoint(renamed)),
    load("variable of another shape", 4, changed_checkpoint(reshaped)),
    load("variable of another element type", 4, changed_checkpoint(retyped)),
    load("one bit flipped", 4, lambda: flip(checkpoint_bytes()), vary=(r"\b[0-9a-f]{8}\b",)),
    load("last byte missing", 4, lambda: checkpoint_bytes()[:-1], vary=(r"'.*'", r"\d+ of \d+")),
    load("one byte too many", 4, lambda: checkpoint_bytes() + b"x"),
    load("NaN in a parameter", 5, changed_checkpoint(all_nan), vary=("-?nan",)),
    Row("checkpoints", "pickle of PyTorch",
        [*EVALUATE, "--checkpoint=c.pt"], 4,
        write("c.pt", b"PK\x03\x04" + b"\0" * 60)),
    Row("checkpoints", "checkpoint that is a directory", [*EVALUATE, "--checkpoint=c"], 4,
        lambda d: os.mkdir(os.path.join(d, "c"))),
    Row("checkpoints", "checkpoint that is a FIFO", [*EVALUATE, "--checkpoint=c"], 4,
        lambda d: os.mkfifo(os.path.join(d, "c"))),
    Row("checkpoints", "checkpoint that is a device", [*EVALUATE, "--checkpoint=/dev/zero"], 4),
    Row("checkpoints", "checkpoint without read permission", [*EVALUATE, "--checkpoint=c"], 1,
        both(write("c", b""), lambda d: os.chmod(os.path.join(d, "c"), 0),
             lambda d: os.chmod(d, 0o777)), nobody=True),
    Row("checkpoints", "checkpoint of a wider model",
        ["--task=evaluate", "--model=mlp,hidden=[8]", *SMALL[1:], "--quiet", "--out=score",
         "--checkpoint=run/checkpoint-3.safetensors"], 4, copy_run),
    Row("checkpoints", "checkpoint of other data",
        ["--task=evaluate", SMALL[0], "--dataset=synthetic,kind=images,n=12,test=4,size=4", SMALL[2],
         "--quiet", "--out=score", "--checkpoint=run/checkpoint-3.safetensors"], 4, copy_run),
    Row("checkpoints", "checkpoint in another element type", [*EVALUATE, "--dtype=f64",
        "--checkpoint=run/checkpoint-3.safetensors"], 4, copy_run),
    resume("resume: no such folder", 4, None),
    resume("resume: folder without config.json", 4,
           both(copy_run, lambda d: os.remove(os.path.join(d, "run/config.json")))),
    resume("resume: folder without a checkpoint", 4,
           both(copy_run, lambda d: os.remove(os.path.join(d, "run/checkpoint-3.safetensors")))),
    resume("resume: newest checkpoint cut short, one before it whole", 0, half_newer,
           ["--steps=12"]),
    resume("resume: temporary files of a killed save, odd names", 0, leftovers, ["--steps=5"]),
    resume("resume: config.json cut short", 2,
           both(copy_run, change_file("run/config.json", lambda d: d[:60])), vary=(r"<data>:.*",)),
    resume("resume: metrics.jsonl cut in a line", 0,
           both(copy_run, change_file("run/metrics.jsonl", lambda d: d[:-20])), ["--steps=5"]),
    resume("resume: metrics.jsonl of zeros", 0,
           both(copy_run, change_file("run/metrics.jsonl", lambda d: b"\0" * 100)), ["--steps=5"]),
    Row("checkpoints", "run folder that holds a run", TRAIN, 2, copy_run),
    Row("checkpoints", "run folder without write permission", [*TRAIN[:-1], "--out=here"], 1,
        lambda d: os.mkdir(os.path.join(d, "here"), 0o555), nobody=True),
    Row("checkpoints", "checkpoint's place is a directory", TRAIN, 1,
        lambda d: os.makedirs(os.path.join(d, "run/checkpoint-3.safetensors"))),
    Row("checkpoints", "checkpoint's place is a link", TRAIN, 0,
        both(write("other", "kept"), lambda d: os.mkdir(os.path.join(d, "run")),
             lambda d: os.symlink("../other", os.path.join(d, "run/checkpoint-3.safetensors"))),
        check=lambda d, _: None if open(os.path.join(d, "other")).read() == "kept"
        else "the link's target was written"),
    Row("checkpoints", "file larger than the limit (ulimit -f)", TRAIN, 1,
        limits={resource.RLIMIT_FSIZE: 1024}, check=same_folder_twice, vary=(r"(?<=run/)[^:]+",),
        needs=lambda: "this build writes files of its own" if Place.sanitized else None),
]
