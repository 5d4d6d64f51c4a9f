# SPDX-License-Identifier: MIT
"""Surroundings: terminal, locale, limits, descriptors, environment variables."""
import os
import re
import resource
import shutil
import subprocess
import tempfile

from common import EVALUATE, SMALL, TRAIN, Place, Row, copy_run, hollow, safetensors

LOUD = [*SMALL, "--optimizer=sgd", "--steps=3", "--out=run"]


def run(text, code=0, args=tuple(TRAIN), **more):
    return Row("environment", text, list(args), code, **more)


def env(text, **variables):
    return run(text, env=variables, check=same_result)


def same_result(directory, _out):
    """The run's bytes are those of an ordinary run."""
    with open(os.path.join(directory, "run/checkpoint-3.safetensors"), "rb") as file:
        got = file.read()
    with open(os.path.join(Place.good_run, "checkpoint-3.safetensors"), "rb") as file:
        return None if got == file.read() else "the checkpoint differs from an ordinary run's"


def comma_locale():
    """A locale with a decimal comma, made once; None without localedef."""
    path = os.path.join(tempfile.gettempdir(), f"dlhost-locale-{os.getuid()}")
    if not os.path.isdir(os.path.join(path, "de_DE.UTF-8")):
        os.makedirs(path, exist_ok=True)
        if not shutil.which("localedef") or subprocess.run(
                ["localedef", "-i", "de_DE", "-f", "UTF-8", os.path.join(path, "de_DE.UTF-8")],
                check=False, capture_output=True).returncode > 1:
            return None
    return path


COMMA = comma_locale()
NO_LOCALE = None if COMMA else "no locale with a decimal comma can be made"


def points_only(directory, out):
    with open(os.path.join(directory, "run/config.json"), encoding="utf-8") as file:
        text = file.read()
    return None if '"lr": 0.05' in text and "." in out and ",0" not in out else out + text


def sanitized():
    return "a sanitizer reserves address space" if Place.sanitized else None


def has(name):
    return lambda: None if shutil.which(name) else f"{name} is not installed"


MB = 1 << 20
# Stands for the file systems that nobody has at hand: gone with the process that mounted it.
MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def on_disk(options):
    return (*MOUNT, f'mkdir disk && mount -t tmpfs -o {options} tmpfs disk && exec "$@"', "sh")


READ_ONLY = (*MOUNT, 'mount --bind run run && mount -o remount,bind,ro run && exec "$@"', "sh")


def no_mount():
    """Why nothing can be mounted; None when it can."""
    if "mount" not in CACHE:
        CACHE["mount"] = shutil.which("unshare") and subprocess.run(
            [*MOUNT, "mount -t tmpfs tmpfs /mnt"], check=False, capture_output=True).returncode == 0
    return None if CACHE["mount"] else "this process may not mount a file system"


CACHE = {}


def has_avx512():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search("^flags.* avx512vl", file.read(), re.M)
    return "this processor has every level" if found else None


def finished(directory, _out):
    with open(os.path.join(directory, "run/metrics.jsonl"), encoding="utf-8") as file:
        return None if '"event":"final"' in file.read() else "the run has no final record"


LITTLE = {"limits": {resource.RLIMIT_AS: 2000 * MB}, "needs": sanitized}
GIGABYTES = 2400 * MB
HUGE_HEADER = safetensors({"a": {"dtype": "F32", "shape": [GIGABYTES // 4],
                                 "data_offsets": [0, GIGABYTES]}})

ROWS = [
    run("standard output closed", args=LOUD, stdout="closed"),
    run("standard input closed", stdin="closed"),
    run("standard output full (/dev/full)", args=LOUD, stdout="/dev/full", warns=True),
    run("standard output full, of a command that prints", 1, ["list"], stdout="/dev/full"),
    run("standard output closed, of a command that prints", 1, ["list"], stdout="closed"),
    env("TERM unset", TERM=None),
    env("COLUMNS=0", COLUMNS="0"),
    env("COLUMNS that is no number", COLUMNS="wide"),
    env("NO_COLOR set", NO_COLOR="1"),
    env("TZ that is no time zone", TZ=":/etc/passwd"),
    env("HOME and XDG_DATA_HOME unset", HOME=None, XDG_DATA_HOME=None),
    env("HOME that is not there", HOME="/nonexistent", XDG_DATA_HOME=None),
    env("LANG that is not there", LANG="xx_YY.UTF-8", LC_ALL=None),
    run("locale with a decimal comma", args=LOUD, check=points_only, needs=lambda: NO_LOCALE,
        env={"LC_ALL": "de_DE.UTF-8", "LOCPATH": COMMA}),
    env("OPENBLAS_NUM_THREADS=0", OPENBLAS_NUM_THREADS="0"),
    env("OPENBLAS_NUM_THREADS=1000", OPENBLAS_NUM_THREADS="1000"),
    env("OPENBLAS_CORETYPE that does not exist", OPENBLAS_CORETYPE="Abacus"),
    env("MALLOC_PERTURB_ set (new memory is never zero)", MALLOC_PERTURB_="165"),
    run("one core only", wrap=("taskset", "-c", str(min(os.sched_getaffinity(0)))), needs=has("taskset"), check=same_result),
    run("2 MB of arguments", 2, [*TRAIN, *["x" * 100000] * 18], vary=("xxx+",)),
    run("120 000 bytes in one argument", 3, [*SMALL, "--optimizer=" + "x" * 120000],
        vary=(r"searched .*",)),
    run("large data and little memory (ulimit -v)", 1,
        ["--model=mlp,hidden=[4]", "--dataset=synthetic,n=1000000,dims=900", "--optimizer=sgd",
         "--threads=1", "--quiet", "--out=run"], limits={resource.RLIMIT_AS: 2000 * MB},
        needs=sanitized),
    run("large model and little memory (ulimit -v)", 1,
        ["--model=mlp,hidden=[20000,20000]", *SMALL[1:], "--optimizer=adam", "--steps=1",
         "--quiet", "--out=run"], limits={resource.RLIMIT_AS: 2000 * MB}, needs=sanitized),
    run("large batch and little memory (ulimit -v)", 1,
        ["--model=mlp,hidden=[20000]", "--dataset=synthetic,n=40000,dims=2,test=2", "--batch=40000",
         "--optimizer=sgd", "--steps=1", "--threads=1", "--quiet", "--out=run"], **LITTLE),
    run("large checkpoint and little memory (ulimit -v)", 1,
        [*EVALUATE, "--checkpoint=c.safetensors"],
        make=hollow("c.safetensors", HUGE_HEADER, len(HUGE_HEADER) + GIGABYTES), **LITTLE),
    run("large table and little memory (ulimit -v)", 1,
        ["--model=mlp,hidden=[4]", "--dataset=uci,dir=.", "--optimizer=sgd", "--quiet", "--out=run"],
        make=hollow("data.txt", b"1 2\n", GIGABYTES), **LITTLE),
    run("new run on a read-only file system", 1, [*TRAIN[:-1], "--out=disk/run"],
        wrap=on_disk("ro"), needs=no_mount),
    run("resumed run on a read-only file system", 1, ["resume", "run", "--quiet", "--steps=6"],
        make=copy_run, wrap=READ_ONLY, needs=no_mount),
    run("disk that is full when the checkpoint comes", 1,
        ["--model=mlp,hidden=[900,200]", *TRAIN[1:-1], "--out=disk/run"],
        wrap=on_disk("size=64k"), needs=no_mount),
    run("disk without room for another file", 1, [*TRAIN[:-1], "--out=disk/run"],
        wrap=on_disk("nr_inodes=2"), needs=no_mount),
    run("processor without AVX2 (DLHOST_CPU_LEVEL=baseline)", env={"DLHOST_CPU_LEVEL": "baseline"},
        check=finished),
    run("DLHOST_CPU_LEVEL that the processor does not have", 2, env={"DLHOST_CPU_LEVEL": "avx512"},
        vary=(r"(?<=best is )\w+",), needs=has_avx512),
    run("DLHOST_CPU_LEVEL that no processor has", 2, env={"DLHOST_CPU_LEVEL": "8087\x1b[2J"},
        vary=(r"(?<=processor is )\w+",)),
    run("few file descriptors", limits={resource.RLIMIT_NOFILE: 12}),
    run("stack of 256 kB", limits={resource.RLIMIT_STACK: 256 * 1024}, check=same_result,
        needs=sanitized),
]
