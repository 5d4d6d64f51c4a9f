# SPDX-License-Identifier: MIT
"""Writes the seed corpora: for each fuzz target small files that are accepted, and some, named bad-*,
that are refused for one reason each. The same files every time, for one version of zipfile.

usage: make-corpus.py [PLUGIN.so...]

Seeds of the target note are made from plugins: their ELF header, one program header and the note.
Without any, those that are there stay."""
import io
import json
import os
import shutil
import struct
import sys
import zipfile
import zlib

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def put(target, name, data):
    os.makedirs(os.path.join(TOP, target), exist_ok=True)
    with open(os.path.join(TOP, target, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode("utf-8"))


def npy(kind, shape, data, fortran=False, version=1):
    text = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    start = b"\x93NUMPY" + bytes([version, 0])
    head = len(start) + (2 if version == 1 else 4)
    text += b" " * (-(head + len(text) + 1) % 64) + b"\n"
    return start + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def make_npy():
    put("npy", "f4.npy", npy("<f4", "(2, 3)", struct.pack("<6f", *range(6))))
    put("npy", "f2-big-fortran.npy", npy(">f2", "(2, 2)", struct.pack(">4e", 1, 2, 3, -4), True))
    put("npy", "u1-v2.npy", npy("|u1", "(4,)", b"\0\1\2\xff", version=2))
    put("npy", "u8-v3.npy", npy("<u8", "(1, 1)", struct.pack("<Q", 2**53), version=3))
    put("npy", "bool-scalar.npy", npy("|b1", "()", b"\1"))
    put("npy", "empty.npy", npy("<i8", "(0, 3)", b""))
    put("npy", "bad-object.npy", npy("|O", "(1,)", b"\x80\x04N."))
    put("npy", "bad-record.npy", npy("<f4", "(1,)", b"\0" * 4).replace(b"'<f4'", b"[('x','<f4')]"))
    put("npy", "bad-u8.npy", npy("<u8", "(1,)", b"\xff" * 8))


class Pipe(io.RawIOBase):
    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data)
        return len(data)


def archive(members, pipe=False, zip64=False):
    out = Pipe() if pipe else io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members:
            with file.open(zipfile.ZipInfo(name), "w", force_zip64=zip64) as member:
                member.write(data)
    return out.data if pipe else out.getvalue()


def deflated(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return out.getvalue()


def make_npz():
    a = npy("<f4", "(2,)", struct.pack("<2f", 1, 2))
    b = npy("|u1", "(3,)", b"\1\2\3")
    put("npz", "stored.npz", archive([("a.npy", a), ("b.npy", b)]))
    put("npz", "deflated.npz", deflated([("a.npy", a), ("layer/b.npy", b)]))
    put("npz", "zip64.npz", archive([("a.npy", a)], zip64=True))
    put("npz", "descriptor.npz", archive([("\u00e4.npy", a)], pipe=True))
    put("npz", "none.npz", archive([]))
    put("npz", "bad-parent.npz", archive([("../a.npy", a)]))
    put("npz", "bad-pickle.npz", archive([("a.pkl", b"\x80\x04N.")]))


def safetensors(header, data):
    text = header.encode("utf-8")
    return struct.pack("<Q", len(text)) + text + data


def make_safetensors():
    header = {"__metadata__": {"k": "v"}, "a": {"dtype": "F32", "shape": [1, 2],
                                                "data_offsets": [0, 8]},
              "b": {"dtype": "U8", "shape": [2], "data_offsets": [8, 10]}}
    put("safetensors", "two.safetensors", safetensors(json.dumps(header), bytes(range(10))))
    header = {kind: {"dtype": kind, "shape": [], "data_offsets": [8 * i, 8 * i + 8]}
              for i, kind in enumerate(("F64", "I64", "U64"))}
    put("safetensors", "scalars.safetensors", safetensors(json.dumps(header) + "  ", bytes(24)))
    put("safetensors", "escapes.safetensors", safetensors(
        '{"\\u00e4\\ud83d\\ude00":{"dtype":"BF16","shape":[0,3],"data_offsets":[0,0]}}', b""))
    put("safetensors", "none.safetensors", safetensors("{}", b""))
    put("safetensors", "bad-stray.safetensors", safetensors("{}", b"\0"))


def make_idx():
    put("idx", "two-axes.idx", b"\0\0\x08\2" + struct.pack(">2I", 2, 3) + b"abcdef")
    put("idx", "empty.idx", b"\0\0\x08\1" + struct.pack(">I", 0))
    put("idx", "gzip.idx.gz", zlib_gzip(b"\0\0\x08\3" + struct.pack(">3I", 1, 2, 2) + b"abcd"))
    put("idx", "bad-type.idx", b"\0\0\x0d\1" + struct.pack(">I", 1) + b"abcd")


def zlib_gzip(data):
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    return pack.compress(data) + pack.flush()


def make_table():
    put("table", "mixed.txt", "1 2.5,-3e4\r\n\n4 5 .6e-1\n7,8 9\n")
    put("table", "one.csv", "-0.0")
    put("table", "gzip.csv.gz", zlib_gzip(b"1,2\n3,4\n"))
    put("table", "bad-ragged.csv", "1,2\n3\n")
    put("table", "bad-nan.csv", "1,nan\n")


def make_text():
    put("text", "words.txt", "the cat sat on the mat\nthe end of it\n")
    put("text", "letters.txt", "\u00e4\u00f6\u00fc \u20ac \U0001f600 a b c d e\r\n\n  x\ty  ")
    put("text", "bad-utf8.txt", b"a b c d e f g h \xff")
    put("text", "bad-short.txt", "a")


def make_config():
    put("config", "full.json", json.dumps({
        "model": {"plugin": "mlp", "hidden": [64, 64], "activation": "tanh"},
        "optimizer": {"plugin": "kfac", "damping": 1e-2, "lr": 0.1, "adapt": True},
        "dataset": {"plugin": "synthetic", "n": 100}, "task": {"plugin": "train", "epochs": 3},
        "seed": 7, "threads": 1, "dtype": "f64"}, indent=2))
    put("config", "seed.json", '{"seed": "18446744073709551615"}')
    put("config", "empty.json", "{}")
    put("config", "nested.json", '{"model": {"plugin": "\\u00e4", "x": [[1, [2.5]], "a,b"]}}')
    put("config", "bad-member.json", '{"sed": 1}')
    put("config", "bad-list.json", "[1]")
    # Found by fuzzing: json-glib reads more than JSON, and recurses.
    put("config", "bad-comment.json", '{"seed": /* none */ 1}')
    put("config", "bad-hidden-nesting.json", '{"seed": /*"*/ ' + "[" * 60)
    put("config", "bad-nesting.json", '{"seed": ' + "[" * 60 + "]" * 60 + "}")
    put("config", "bad-octal.json", '{"seed": "\\274"}')
    put("config", "bad-half-surrogate.json", '{"model": {"plugin": "\\ud800"}}')
    put("config", "bad-nul.json", '{"model": {"plugin": "\\u0000"}}')
    put("config", "bad-utf8.json", b'{"model": {"plugin": "\xff"}}')


def make_command():
    for name, line in {
            "run": "--model=mlp,hidden=[64,64] --optimizer=adam,lr=1e-3 --dataset=synthetic "
                   "--epochs=3 --seed=1 --threads 2 --dtype=f64 --out=x --quiet",
            "dotted": "run --optimizer=kfac.so --optimizer.damping=1e-2 --task.batch=8",
            "list": "list optimizer", "inspect": "inspect kfac --json",
            "resume": "resume runs/first --epochs=30", "doctor": "doctor --plugin-path=a:b",
            "help": "list --help", "short-help": "-h", "version": "--version",
            "config": "--config=run.json --seed 18446744073709551615",
            "bad-option": "--modell=mlp", "bad-value": "--seed=-1", "bad-twice": "--seed=1 --seed=2",
            "bad-missing": "--model", "bad-command": "trian", "bad-operand": "list a b c"}.items():
        put("command", f"{name}.txt", line.replace(" ", "\n"))


def make_options():
    for name, value in {"bool": "\0true", "int": "\1-4", "double": "\0021e-3", "inf": "\2inf",
                        "string": "\3\u00e4", "choice": "\4other", "doubles": "\5[0,0.5]",
                        "ints": "\6[7,-9223372036854775808]", "bad-range": "\0011000001",
                        "bad-list": "\5[1]"}.items():
        put("options", f"{name}.bin", value)


def make_note(plugins):
    """A 64-bit ELF file has its program headers at e_phoff, 56 bytes each; PT_NOTE is 4."""
    for plugin in plugins:
        with open(plugin, "rb") as file:
            data = file.read()
        (table,) = struct.unpack_from("<Q", data, 32)
        (count,) = struct.unpack_from("<H", data, 56)
        for i in range(count):
            kind, flags, offset, _, _, size, _, align = struct.unpack_from("<2I6Q", data,
                                                                           table + 56 * i)
            note = data[offset:offset + size]
            if kind != 4 or b"dlhost\0" not in note[:20]:
                continue
            head = bytearray(data[:64])
            struct.pack_into("<2Q", head, 32, 64, 0)
            struct.pack_into("<5H", head, 54, 56, 1, 64, 0, 0)
            header = struct.pack("<2I6Q", 4, flags, 120, 120, 120, size, size, align)
            put("note", os.path.basename(plugin) + ".note", bytes(head) + header + note)
    put("note", "bad-text.note", "not a plugin")


def main():
    for target in os.listdir(TOP) if os.path.isdir(TOP) else []:
        if target != "note":
            shutil.rmtree(os.path.join(TOP, target))
    make_note(sys.argv[1:])
    for make in (make_npy, make_npz, make_safetensors, make_idx, make_table, make_text, make_config,
                 make_command, make_options):
        make()


main()
