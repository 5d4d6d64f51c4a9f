# SPDX-License-Identifier: MIT
"""The binary interface against the stored one, as TAP: what was added passes, what was removed or
changed fails. tools/abi-update.sh stores it again, when a break is meant.

usage: check.py SOURCE_DIRECTORY LIBDLHOST INTERFACES CC..."""
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import Results  # pylint: disable=wrong-import-position

SOURCE, LIBDLHOST, INTERFACES, CC = *sys.argv[1:4], sys.argv[4:]
HERE = os.path.dirname(os.path.abspath(__file__))
# What docs/abi.md lets grow: structs that begin with their size, records whose size is in the note,
# and what only the library makes.
GROW = {"DlhBuild", "DlhCall", "DlhDataset", "DlhDistributionClass", "DlhHost", "DlhManifest",
        "DlhModel", "DlhObjective", "DlhOp", "DlhOptimizer", "DlhOption", "DlhPlugin", "DlhPluginInfo",
        "DlhPluginReject", "DlhProblem", "DlhSampler", "DlhSupervised", "DlhTask", "DlhTraining",
        "DlhDensity", "DlhLatent", "DlhLatentPosterior", "DlhPosterior", "DlhTransition"}
HEADERS = os.path.join(SOURCE, "core", "dlhost")


def stored(name):
    with gzip.open(os.path.join(HERE, name), "rt", encoding="utf-8") as file:
        return file.read()


def structs(tree):
    """The structs that grow, by name: their elements and their members' elements."""
    for decl in tree.iter("class-decl"):
        name = decl.get("name", "").lstrip("_")
        if name in GROW and decl.get("is-declaration-only") != "yes":
            yield name, decl, decl.findall("data-member")


def without_growth(old, new):
    """@new without the members that its growing structs have gained at their ends."""
    before = {name: (decl, members) for name, decl, members in structs(ElementTree.fromstring(old))}
    tree = ElementTree.fromstring(new)
    for name, decl, members in structs(tree):
        old_decl, old_members = before.get(name, (decl, members))
        end = int(old_decl.get("size-in-bits"))
        tail = members[len(old_members):]
        if tail and all(int(m.get("layout-offset-in-bits")) >= end for m in tail):
            for member in tail:
                decl.remove(member)
            decl.set("size-in-bits", str(end))
    return ElementTree.tostring(tree, encoding="unicode")


def compare(text, library, headers, dir):
    """Returns: "" when @library has all that the stored @text describes, else what it lacks."""
    path = os.path.join(dir, "stored.abi")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    # Described as the stored one was: types that the headers do not define are left out of both.
    now = os.path.join(dir, "now.abi")
    described = subprocess.run([os.path.join(HERE, "describe.sh"), headers, library],
                               stdout=subprocess.PIPE, text=True, check=True).stdout
    with open(now, "w", encoding="utf-8") as file:
        file.write(without_growth(text, described))
    done = subprocess.run(["abidiff", "--no-added-syms", "--no-show-locs", path, now],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return f"exit code {done.returncode}\n{done.stdout}" if done.returncode else ""


def changed_headers(dir, file, old, new):
    """A copy of the headers in which @old in @file is @new, and a library of them."""
    shutil.rmtree(os.path.join(dir, "dlhost"), ignore_errors=True)
    shutil.copytree(HEADERS, os.path.join(dir, "dlhost"))
    path = os.path.join(dir, "dlhost", file)
    with open(path, encoding="utf-8") as header:
        text = header.read()
    changed, n = re.subn(old, new, text, count=1)
    if n != 1:
        return None
    with open(path, "w", encoding="utf-8") as header:
        header.write(changed)
    flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], text=True, capture_output=True,
                           check=True).stdout.split()
    library = os.path.join(dir, "changed.so")
    subprocess.run([*CC, "-g", "-w", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-Wl,-soname,libabi-interfaces.so",
                    f"-I{dir}", *flags, "-o", library, os.path.join(HERE, "interfaces.c")], check=True)
    return library


# Whether a change of the headers keeps the interface.
CHANGES = (
    ("struct-grows-at-its-end", "optimizer.h", r"(\*error\);\n)(\} DlhOptimizer;)",
     r"\1    void (*later) (void);\n\2", True),
    ("enumerator-at-the-end", "plugin.h", r"(    DLH_OBJECTIVE,[^\n]*\n)", r"\1    DLH_LATER,\n", True),
    ("member-removed", "option.h", r"    char unit\[16\];\n", "", False),
    ("member-inserted", "plugin.h", r"(    char name\[32\];\n)", r"    guint32 more;\n\1", False),
    ("member-larger", "option.h", r"char preset\[64\]", "char preset[72]", False),
    ("member-of-another-type", "plugin.h", r"guint32 n_options;", "guint64 n_options;", False),
    ("argument-added", "task.h", r"\(\*run\) \(DlhRun \*run,", "(*run) (DlhRun *run, int more,", False),
    ("enumerator-inserted", "option.h", r"(    DLH_OPTION_INT,)", r"    DLH_OPTION_LATER,\n\1", False),
    ("struct-grows-within", "optimizer.h", r"(    gboolean \(\*build\))", r"    gsize more;\n\1", False),
    ("array-row-grows", "graph.h", r"(\} DlhUse;)", r"    gint64 later;\n\1", False),
)


def check_the_check(dir, results):
    for name, file, old, new, keeps in CHANGES:
        library = changed_headers(dir, file, old, new)
        if not library:
            results.case(f"/abi/simulated/{name}", f"{file} has no longer the text that is changed")
            continue
        said = compare(stored("interfaces.abi.gz"), library, os.path.join(dir, "dlhost"), dir)
        problem = said if keeps else "" if said else "passes, but should not"
        results.case(f"/abi/simulated/{name}/{'passes' if keeps else 'fails'}", problem)
    text = stored("libdlhost.abi.gz").replace("'dlh_graph_compile'", "'dlh_graph_gone'")
    said = compare(text, LIBDLHOST, HEADERS, dir)
    results.case("/abi/simulated/function-removed/fails",
                 "" if "dlh_graph_gone" in said else f"passes, but should not: {said}")


def main():
    results = Results()
    if not shutil.which("abidiff"):
        results.case("/abi", "SKIP abidiff is not installed (Debian package abigail-tools)")
        results.finish()
    with tempfile.TemporaryDirectory() as dir:
        results.case("/abi/libdlhost/as-stored",
                     compare(stored("libdlhost.abi.gz"), LIBDLHOST, HEADERS, dir))
        results.case("/abi/interfaces/as-stored",
                     compare(stored("interfaces.abi.gz"), INTERFACES, HEADERS, dir))
        check_the_check(dir, results)
    results.finish()


main()
