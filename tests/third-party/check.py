# SPDX-License-Identifier: MIT
"""The door for third parties, as TAP: installs dlhost elsewhere, moves it, and then builds, tests
and runs each example of this directory against the installed files alone.

usage: check.py SOURCE_DIRECTORY BUILD_DIRECTORY CC..."""
import filecmp
import glob
import os
import re
import shutil
import sys

from installed import Installation

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import Results  # pylint: disable=wrong-import-position

SOURCE, BUILD, CC = sys.argv[1], sys.argv[2], sys.argv[3:]
HERE = os.path.dirname(os.path.abspath(__file__))
STRICT = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Werror",
          "-fPIC", "-shared", "-fvisibility=hidden"]
EMBEDDING = """
#include <dlhost/dlhost.h>

int main ()
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_full (graph, DLH_F64, dlh_shape (2, 3), 4);
    DlhNode *y = dlh_add (dlh_mean_all (x), dlh_full (graph, DLH_F64, dlh_shape (), 0.5));
    g_autoptr (DlhFunction) f = dlh_graph_compile (graph, &y, 1, &error);

    return f && dlh_function_run (f, NULL, 0, &error) && dlh_function_scalar (f, 0) == 4.5 ? 0 : 1;
}
"""


def examples():
    """Pairs of kind and name: each directory holds what `dlhost new KIND NAME` writes."""
    for kind in sorted(os.listdir(HERE)):
        for file in sorted(glob.glob(f"{HERE}/{kind}/*.c")):
            yield kind, os.path.basename(file)[:-2]


def difference(a, b):
    names = sorted(set(os.listdir(a)) | set(os.listdir(b)))
    _, other, missing = filecmp.cmpfiles(a, b, names, shallow=False)
    return " ".join(other + missing)


def check_files(place, results):
    headers = sorted(os.listdir(os.path.join(SOURCE, "core", "dlhost")))
    installed = os.path.join(place.prefix, "include", "dlhost")
    results.case("/installed/headers/all", "" if sorted(os.listdir(installed)) == headers else "differ")
    code, plugindir = place.run("pkg-config", "--variable=plugindir", "dlhost-1.0")
    plugins = set(os.listdir(plugindir.strip())) if code == 0 else set()
    built = {file for _, _, files in os.walk(os.path.join(BUILD, "plugins")) for file in files
             if file.endswith(".so")}
    results.case("/installed/plugindir/all-plugins", "" if plugins == built else
                 f"{plugindir}: {sorted(plugins ^ built)}")
    _, listed = place.run("dlhost", "list")
    names = set(re.findall(r"^  (\S+)  ", listed, re.MULTILINE))
    results.case("/installed/program/finds-its-plugins",
                 "" if names == {name[:-3] for name in plugins} else listed)
    _, linked = place.run("ldd", os.path.join(place.prefix, "bin", "dlhost"))
    library = re.search(r"libdlhost\S* => (\S+)", linked)
    where = os.path.realpath(library.group(1)) if library else ""
    results.case("/installed/program/finds-its-library",
                 "" if where.startswith(os.path.realpath(place.prefix) + "/") else linked)


def check_scaffold(place, kind, name, results):
    dir = os.path.join(place.work, kind)
    problem = place.must("dlhost", "new", kind, name, f"--dir={dir}")
    if not problem:
        problem = difference(dir, os.path.join(HERE, kind))
    results.case(f"/third-party/{kind}/as-dlhost-new-writes-it",
                 problem and f"{problem}\nwrite it again with tools/update-examples.sh")
    return dir


def check_example(place, kind, name, results):
    dir = check_scaffold(place, kind, name, results)
    so = os.path.join(dir, "strict.so")
    results.case(f"/third-party/{kind}/strict-c11",
                 place.must(*CC, *STRICT, "-o", so, f"{name}.c", *place.flags(), "-lm", cwd=dir))
    code, symbols = place.run("nm", "-D", "--defined-only", "--format=posix", so)
    exported = [line.split()[0] for line in symbols.splitlines()]
    results.case(f"/third-party/{kind}/one-symbol",
                 "" if code == 0 and exported == ["dlhost_plugin"] else symbols)
    if not shutil.which("make"):
        results.case(f"/third-party/{kind}/make-test", "SKIP make is not installed")
        return
    results.case(f"/third-party/{kind}/make-test", place.must("make", "test", cwd=dir))
    with open(os.path.join(dir, "README.md"), encoding="utf-8") as file:
        commands = [line for line in file.read().splitlines() if line.startswith("dlhost ")]
    problem = "\n".join(place.must("sh", "-c", command, cwd=dir) for command in commands).strip()
    results.case(f"/third-party/{kind}/readme-commands-run",
                 problem if len(commands) == 3 else "three commands were expected")


def check_names(place, results):
    """Names that are words of C, of its library, or of nobody become plugins too."""
    for name in ("double", "exp", "a-1_b", "main", "dlhost"):
        dir = os.path.join(place.work, f"name-{name}")
        problem = place.must("dlhost", "new", "optimizer", name, f"--dir={dir}") or place.must(
            *CC, *STRICT, "-o", "x.so", f"{name}.c", *place.flags(), cwd=dir) or place.must(
                "dlhost", "inspect", "./x.so", cwd=dir)
        results.case(f"/new/name/{name}", problem)
    os.mkdir(os.path.join(place.work, "there"))
    for arguments, said in ((["optimizer", "3x"], "must be a letter a-z"),
                            (["optimizer", "x/../y"], "must be a letter a-z"),
                            (["optimizer", "Adam"], "must be a letter a-z"),
                            (["optimizer", ""], "must be a letter a-z"),
                            (["optimizer", "a" * 32], "is longer than 31 characters"),
                            (["optimizer", "test"], "is a word that Meson keeps for itself"),
                            (["optimizer", "dlh_x"], "begins like the library's own functions"),
                            (["optimiser", "x"], "did you mean optimizer?"),
                            (["optimizer", "there"], "there exists already"),
                            (["optimizer", "x", "--dir=/nonexistent/x"], "cannot make the directory")):
        code, text = place.run("dlhost", "new", *arguments)
        want = 1 if "--dir" in arguments[-1] else 2
        results.case(f"/new/refused/{'-'.join(arguments)[:40] or 'empty'}",
                     "" if code == want and said in text and text.count("\n") == 1 else f"{code}: {text}")
    results.case("/new/refused/nothing-is-left", "" if os.listdir(f"{place.work}/there") == [] and
                 not os.path.exists(f"{place.work}/x") else "files were written")


def check_meson(place, results):
    dir = os.path.join(place.work, "optimizer")
    results.case("/third-party/optimizer/meson-test",
                 place.must("meson", "setup", "build", cwd=dir) or
                 place.must("meson", "test", "-C", "build", cwd=dir) or
                 place.must("meson", "install", "-C", "build", "--destdir", "out", cwd=dir))


def check_embedding(place, results):
    for name, compiler in (("c11", [*CC, "-x", "c", "-std=c11"]),
                           ("c++11", ["g++", "-x", "c++", "-std=c++11"]),
                           ("c++17", ["g++", "-x", "c++", "-std=c++17"])):
        if not shutil.which(compiler[0]):
            results.case(f"/embedding/{name}", f"SKIP {compiler[0]} is not installed")
            continue
        code, said = place.run(*compiler, "-Wall", "-Werror", "-o", name, "-", "-x", "none",
                               *place.flags(), f"-Wl,-rpath,{os.path.dirname(place.pkgconfig)}",
                               stdin=EMBEDDING)
        results.case(f"/embedding/{name}", said if code else place.must(f"./{name}"))


def main():
    results = Results()
    if not shutil.which("meson"):
        results.case("/installed", "SKIP meson is not in PATH")
        results.finish()
    place = Installation(BUILD)
    try:
        check_files(place, results)
        for kind, name in examples():
            check_example(place, kind, name, results)
        check_names(place, results)
        check_meson(place, results)
        check_embedding(place, results)
    finally:
        place.remove()
    results.finish()


main()
