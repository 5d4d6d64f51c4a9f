# SPDX-License-Identifier: MIT
"""Python's safetensors package and PyTorch against the library, in both directions; no part of the
test suite, since neither belongs to what building and testing need. Prints one line a check.

usage: check-safetensors.py BUILD_DIRECTORY

Needs the modules safetensors, torch and numpy:

    apt install python3-torch python3-numpy python3-venv
    /usr/bin/python3 -m venv --system-site-packages check && check/bin/pip install safetensors
    check/bin/python tools/interop/check-safetensors.py build
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

BUILD = os.path.abspath(sys.argv[1])
CONVERT = os.path.join(BUILD, "tests", "interop", "convert")
SHAPES = [(), (0,), (3, 0, 2), (1,), (7,), (3, 4), (1, 2, 3, 2, 1, 2, 1, 2)]
# What PyTorch has and the format names, and what the library reads it as.
READ_AS = {torch.float16: torch.float32, torch.bfloat16: torch.float32,
           torch.float32: torch.float32, torch.float64: torch.float64, torch.int8: torch.int32,
           torch.uint8: torch.int32, torch.int16: torch.int32, torch.int32: torch.int32,
           torch.int64: torch.int64, torch.bool: torch.bool}
OWN = [torch.float32, torch.float64, torch.int32, torch.int64, torch.bool]
failures = 0


def report(name, problem, detail=""):
    global failures
    failures += bool(problem)
    print(f"{'FAILED' if problem else 'ok    '} {name}: {problem or detail}")


def run(*command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def sample(dtype, shape):
    """Both ends of the type, and what floats have besides numbers."""
    n = int(np.prod(shape, dtype=np.int64))
    if dtype == torch.bool:
        return (torch.arange(n) % 3 == 1).reshape(shape)
    if dtype.is_floating_point:
        info = torch.finfo(dtype)
        ends = [0.0, -0.0, 1.0, -1.5, info.max, info.min, info.tiny, info.tiny / 4, float("nan"),
                float("inf")]
    else:
        info = torch.iinfo(dtype)
        ends = [0, 1, info.max, info.min, info.max - 1, 77]
    return torch.tensor((ends * (n // len(ends) + 1))[:n], dtype=dtype).reshape(shape)


def different(got, want):
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{got.dtype} {tuple(got.shape)}, {want.dtype} {tuple(want.shape)} is wanted"
    got, want = got.contiguous().numpy(), want.contiguous().numpy()
    nan = np.isnan(want) if want.dtype.kind == "f" else np.zeros(want.shape, bool)
    same = (got.tobytes() == want.tobytes() if not nan.any() else
            (np.isnan(got) == nan).all() and
            np.where(nan, 0, got).tobytes() == np.where(nan, 0, want).tobytes())
    return "" if same else f"{got.ravel()[:8]}, {want.ravel()[:8]} are wanted"


def theirs_to_ours(folder):
    """They write, we read; what we read comes back as an npz, which NumPy opens."""
    source, target = os.path.join(folder, "a.safetensors"), os.path.join(folder, "b.npz")
    for dtype, as_dtype in READ_AS.items():
        tensors = {"x".join(map(str, shape)) or "scalar": sample(dtype, shape) for shape in SHAPES}
        safetensors.torch.save_file(tensors, source, {"format": "pt"})
        problem = run(CONVERT, source, target)
        if not problem:
            with np.load(target) as back:
                problem = "; ".join(filter(None, (
                    different(torch.from_numpy(back[name]), tensor.to(as_dtype))
                    for name, tensor in tensors.items())))
        report(f"{str(dtype)[6:]} of theirs, read by us", problem,
               f"{len(tensors)} shapes, as {str(as_dtype)[6:]}")


def unsigned_to_ours(folder):
    """Types that this PyTorch lacks, through NumPy."""
    source, target = os.path.join(folder, "a.safetensors"), os.path.join(folder, "b.npz")
    for kind, as_kind in (("u2", "i4"), ("u4", "i8"), ("u8", "i8")):
        top = min(np.iinfo(kind).max, 2**63 - 1)
        tensors = {"x": np.array([[0, 1, top]], kind), "scalar": np.array(top, kind)}
        safetensors.numpy.save_file(tensors, source)
        problem = run(CONVERT, source, target)
        if not problem:
            with np.load(target) as back:
                problem = "; ".join(f"{name} differs" for name in tensors
                                    if back[name].dtype != as_kind or
                                    (back[name] != tensors[name].astype(as_kind)).any())
        report(f"{kind} of theirs, read by us", problem, f"{len(tensors)} shapes, as {as_kind}")


def ours_to_theirs(folder):
    source, target = os.path.join(folder, "a.npz"), os.path.join(folder, "b.safetensors")
    for dtype in OWN:
        tensors = {"x".join(map(str, shape)) or "scalar": sample(dtype, shape) for shape in SHAPES}
        np.savez(source, **{name: tensor.numpy() for name, tensor in tensors.items()})
        problem = run(CONVERT, source, target)
        if not problem:
            by_torch = safetensors.torch.load_file(target)
            by_numpy = safetensors.numpy.load_file(target)
            problem = "; ".join(filter(None, (
                different(by_torch[name], tensor) or
                different(torch.from_numpy(by_numpy[name].copy()), tensor)
                for name, tensor in tensors.items())))
        report(f"{str(dtype)[6:]} of ours, read by them", problem,
               f"{len(tensors)} shapes, through torch and numpy")


def checkpoint(folder):
    """A real checkpoint: trained here, read there, written there, resumed here."""
    env = dict(os.environ, DLHOST_PLUGIN_PATH=os.path.join(BUILD, "plugins"))
    dlhost = os.path.join(BUILD, "tools", "dlhost")
    out, copy = os.path.join(folder, "run"), os.path.join(folder, "copy.safetensors")
    arguments = ["--dataset=synthetic,n=256", "--model=mlp", "--optimizer=adam", "--quiet",
                 "--epochs=1"]
    problem = run(dlhost, *arguments, f"--out={out}", env=env)
    files = [] if problem else [f for f in os.listdir(out) if f.endswith(".safetensors")]
    if problem or not files:
        report("a checkpoint of ours, read by them", problem or "the run left none")
        return
    path = os.path.join(out, sorted(files)[-1])
    tensors = safetensors.torch.load_file(path)
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    report("a checkpoint of ours, read by them", "" if tensors else "it holds no tensors",
           f"{len(tensors)} tensors, {len(metadata or {})} entries of metadata")
    safetensors.torch.save_file(tensors, copy, metadata)
    problem = run(dlhost, *arguments, f"--checkpoint={copy}", f"--out={out}-2", env=env)
    report("the same written by them, trained on by us", problem, "exit code 0")


def main():
    print(f"safetensors {safetensors.__version__}, torch {torch.__version__}, "
          f"numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        theirs_to_ours(folder)
        unsigned_to_ours(folder)
        ours_to_theirs(folder)
        checkpoint(folder)
    print("all agree" if failures == 0 else f"{failures} failed")
    return failures != 0


sys.exit(main())
