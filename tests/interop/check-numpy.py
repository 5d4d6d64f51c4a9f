# SPDX-License-Identifier: MIT
"""NumPy against the library, as TAP: what NumPy writes is read as NumPy sees it, what the library
writes NumPy reads, and a safetensors file of the library is decoded here from the format's page.

usage: check-numpy.py CONVERT"""
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile

try:
    import numpy as np
except ImportError:
    print("1..0 # SKIP this Python has no numpy")
    sys.exit(0)

CONVERT = sys.argv[1]
RESULTS = []
# What each element type is read as.
READ_AS = {"f2": "f4", "f4": "f4", "f8": "f8", "i1": "i4", "u1": "i4", "i2": "i4", "u2": "i4",
           "i4": "i4", "u4": "i8", "i8": "i8", "u8": "i8", "b1": "b1"}
SHAPES = [(), (0,), (1,), (7,), (3, 4), (2, 0, 3), (2, 3, 5), (1, 2, 3, 2, 1, 2, 1, 2)]


def case(name, problem):
    RESULTS.append(not problem)
    print(f"{'not ok' if problem else 'ok'} {len(RESULTS)} {name}")
    for line in str(problem or "").splitlines():
        print(f"# {line}")


def convert(*pairs):
    done = subprocess.run([CONVERT, *pairs], capture_output=True, text=True, check=False)
    return done.stderr.strip()


def different(got, want):
    """Empty when dtype, shape and bytes agree."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{got.dtype} {got.shape}, {want.dtype} {want.shape} is wanted"
    if np.ascontiguousarray(got).tobytes() != np.ascontiguousarray(want).tobytes():
        return f"other values: {got.ravel()[:8]}, {want.ravel()[:8]} are wanted"
    return ""


def sample(kind, shape):
    """Values at both ends of the type, and NaN and infinity where it has them."""
    n = int(np.prod(shape, dtype=np.int64))
    dtype = np.dtype(kind)
    if kind == "b1":
        values = np.arange(n) % 3 == 1
    elif dtype.kind == "f":
        info = np.finfo(dtype)
        ends = [0.0, -0.0, 1.0, -1.5, info.max, info.min, info.tiny, info.tiny / 4, np.nan, np.inf]
        values = np.resize(np.array(ends, dtype), n)
    else:
        info = np.iinfo(dtype)
        top = 2**63 - 1 if kind == "u8" else info.max
        values = np.resize(np.array([0, 1, top, info.min, top - 1, 77], dtype), n)
    return values.astype(dtype).reshape(shape)


def check_types(folder):
    for kind, as_kind in READ_AS.items():
        arrays, pairs = [], []
        for shape in SHAPES:
            for order in "CF":
                for endian in "<>":
                    array = np.array(sample(kind, shape), np.dtype(endian + kind), order=order)
                    stem = os.path.join(folder, str(len(arrays)))
                    np.save(stem + ".npy", array)
                    arrays.append(array)
                    pairs += [stem + ".npy", stem + ".out.npy"]
        problems = [convert(*pairs)]
        for i, array in enumerate(arrays):
            if not problems[0]:
                want = array.astype("<" + as_kind, order="C")
                wrong = different(np.load(os.path.join(folder, f"{i}.out.npy")), want)
                problems.append(wrong and f"{array.dtype} {array.shape}: {wrong}")
        case(f"/numpy/{kind}/read-as-{as_kind}", "\n".join(filter(None, problems)))


def check_versions(folder):
    source, target = os.path.join(folder, "a.npy"), os.path.join(folder, "b.npy")
    array = np.arange(12, dtype="<i4").reshape(3, 4)
    for version in [(1, 0), (2, 0), (3, 0)]:
        with open(source, "wb") as file:
            np.lib.format.write_array(file, array, version)
        case(f"/numpy/version-{version[0]}/read",
             convert(source, target) or different(np.load(target), array))


def check_npz(folder):
    arrays = {"x": np.arange(6.0).reshape(2, 3), "name/with.dots": np.array([True, False]),
              "\u00e4rger": np.array(7, "<i8"), "zeros": np.zeros((300, 300), "<f4"),
              "empty": np.zeros((0, 4), "<i4")}
    source = os.path.join(folder, "a.npz")
    for save in (np.savez, np.savez_compressed):
        for end in (".npz", ".packed.npz"):
            target = os.path.join(folder, "b" + end)
            save(source, **arrays)
            wrong = convert(source, target)
            if not wrong:
                with np.load(target) as back:
                    wrong = "\n".join(different(back[name], array) for name, array in arrays.items())
                    wrong = wrong.strip() or ("" if list(back.files) == list(arrays) else
                                              f"names {back.files}")
                wrong = wrong or zipfile.ZipFile(target).testzip()
            case(f"/numpy/{save.__name__}/{end[1:]}-comes-back", wrong)


class Pipe(io.RawIOBase):
    """A file that cannot seek: zipfile writes data descriptors then."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def check_descriptors(folder):
    source, target = os.path.join(folder, "a.npz"), os.path.join(folder, "b.npz")
    array = np.arange(1000.0)
    for method, name in ((zipfile.ZIP_STORED, "stored"), (zipfile.ZIP_DEFLATED, "deflated")):
        for zip64 in (False, True):
            with open(source, "wb") as file, zipfile.ZipFile(Pipe(file), "w", method) as archive:
                for member in ("a.npy", "b.npy"):
                    with archive.open(member, "w", force_zip64=zip64) as out:
                        np.lib.format.write_array(out, array)
            wrong = convert(source, target)
            if not wrong:
                with np.load(target) as back:
                    wrong = different(back["a"], array) + different(back["b"], array)
            case(f"/numpy/descriptors-{name}{'-zip64' if zip64 else ''}/read", wrong)


def check_many(folder):
    """More members than a directory without zip64 counts."""
    source, target = os.path.join(folder, "a.npz"), os.path.join(folder, "b.npz")
    with zipfile.ZipFile(source, "w") as archive:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.arange(2.0))
        for i in range(65600):
            archive.writestr(f"{i}.npy", buffer.getvalue())
    wrong = convert(source, target)
    if not wrong:
        with zipfile.ZipFile(target) as archive:
            names = archive.namelist()
            wrong = "" if names == [f"{i}.npy" for i in range(65600)] else f"{len(names)} names"
    if not wrong:
        with np.load(target) as back:
            wrong = different(back["65599"], np.arange(2.0))
    case("/numpy/65600-arrays/come-back", wrong)


def check_refusals(folder):
    source, target = os.path.join(folder, "a.npy"), os.path.join(folder, "b.npy")
    record = np.zeros(3, [("x", "<f4"), ("y", "<i4")])
    for name, array, text in [
            ("objects", np.array([{}, 1], object), "Python objects"),
            ("records", record, "records"),
            ("complex", np.zeros(2, "<c16"), "complex numbers"),
            ("text", np.array(["a", "bc"]), "text"),
            ("bytes", np.array([b"a", b"bc"]), "text"),
            ("dates", np.array(["2001-01-01"], "M8[D]"), "dates"),
            ("large-u8", np.array([2**63], "<u8"), "too large for i64"),
            ("nine-axes", np.zeros((1,) * 9), "more than 8 axes"),
            ("long-double", np.zeros(2, np.longdouble), "another size")]:
        np.save(source, array)
        wrong = convert(source, target)
        case(f"/numpy/{name}/refused", "" if text in wrong else f"message: {wrong}")


def decode_safetensors(path):
    """From the description of the format alone."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length].decode("utf-8"))
    kinds = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "BOOL": "|b1"}
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = data[8 + length + begin:8 + length + end]
        out[name] = np.frombuffer(raw, kinds[entry["dtype"]]).reshape(entry["shape"])
    return out


def check_safetensors(folder):
    arrays = {f"{kind}/{'x'.join(map(str, shape))}": sample(kind, shape)
              for kind in ("f4", "f8", "i4", "i8", "b1") for shape in SHAPES}
    source, target = os.path.join(folder, "a.npz"), os.path.join(folder, "b.safetensors")
    np.savez(source, **arrays)
    wrong = convert(source, target)
    if not wrong:
        back = decode_safetensors(target)
        wrong = "\n".join(filter(None, (different(back[name], a) for name, a in arrays.items())))
        wrong = wrong or ("" if len(back) == len(arrays) else f"{len(back)} arrays")
    case("/numpy/safetensors/decoded-by-its-page", wrong)


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_types(folder)
        check_versions(folder)
        check_npz(folder)
        check_descriptors(folder)
        check_many(folder)
        check_refusals(folder)
        check_safetensors(folder)
    print(f"1..{len(RESULTS)}")
    sys.exit(not all(RESULTS))


main()
