# SPDX-License-Identifier: MIT
"""Rules that sources keep, as TAP: public headers compile alone in C11, C++11 and C++17 and are short, each
file says its licence, plugins include public headers only, the core neither prints nor exits.

usage: check-sources.py SOURCE_DIRECTORY CC..."""
import os
import re
import subprocess
import sys

import tap

ROOT = sys.argv[1]
CC = sys.argv[2:]
HEADERS = os.path.join(ROOT, "core", "dlhost")
MAX_LINES = 150
LICENCE = "SPDX-License-Identifier: MIT"
NO_COMMENT = re.compile(r"\.(json|png|svg|gz|note|bin|txt|safetensors|supp|idx|csv)$|(^|/)corpus/|(^|/)(LICENSE|\.gitignore)$")
FORBIDDEN = re.compile(r"(?<![\w.>])(getenv|g_getenv|printf|g_print|g_printerr|abort|exit|puts) ?\(")
USE_SHAPES = """
DlhNode *use (DlhGraph *graph, gint64 n);
DlhNode *use (DlhGraph *graph, gint64 n)
{
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape ());

    return dlh_add (x, dlh_full (graph, DLH_F32, dlh_shape (n, 2, 3, 4, 5, 6, 7, 8), 1));
}
"""
# What a plugin's author writes; strict modes give macros other rules than gnu11 does.
USE_C = USE_SHAPES + """
typedef struct { double lr; gint64 n; } UseOptions;
static gboolean use_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    return u && options && error;
}
static const DlhOptimizer use_optimizer = {.size = sizeof (DlhOptimizer), .build = use_build};
DLH_PLUGIN_DEFINE (DLH_OPTIMIZER, use_optimizer, UseOptions,
                   DLH_OPTIONS (DLH_DOUBLE (UseOptions, lr, 0.1, 0.0, 1.0, "Step size"),
                                DLH_INT (UseOptions, n, 1, 1, 9, "Count", .unit = "steps")),
                   .name = "use", .version = "1.0", .summary = "Compiles");
"""
USE_CXX = USE_SHAPES + """
void run (DlhStore *store, GError **error);
void run (DlhStore *store, GError **error)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *y = dlh_square (use (graph, 2));
    g_autoptr (DlhFunction) f = dlh_graph_compile (graph, &y, 1, error);
    DlhTraining training = DlhTraining ();

    training.size = sizeof training;
    g_assert (f && store);
}
"""
# A comment at the end, or one and the macros that it speaks of as well.
COMMENTED = re.compile(r"\*/\n(?:#define .*\n)*\Z")
results = tap.Results()


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def compiles(command, flags, header, use=""):
    """Compiles a file that includes @header alone and then has the lines @use."""
    include = f"#include <dlhost/{header}>\n{use}"
    try:
        done = subprocess.run([*command, *flags, "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                               f"-I{ROOT}/core", "-"], input=include, text=True,
                              capture_output=True, check=False)
    except FileNotFoundError:
        return f"SKIP {command[0]} is not installed"
    return done.stderr if done.returncode else ""


def undocumented(text):
    """The functions, types and macros of a header that no comment speaks of: neither by name at
    the beginning of a /** comment, nor directly before or behind the definition."""
    documented = set()
    for comment in re.findall(r"/\*\*(.*?)\*/", text, re.DOTALL):
        names = re.match(r"\s*((?:\w+, +)*\w+):", re.sub(r"\n \* ?", " ", comment))
        if names:
            documented.update(re.split(", +", names.group(1)))
    missing = []
    for match in re.finditer(r"^(?:DLH_EXPORT[^;]*?\b(dlh_\w+) \(|typedef (?:struct|enum) (?:\w+ )?\{(?:(?!^\}).)*"
                             r"^\} (Dlh\w+)|typedef struct \w+ (Dlh\w+)|#define ((?:DLH|dlh)_\w+))",
                             text, re.MULTILINE | re.DOTALL):
        name = next(group for group in match.groups() if group)
        line = text[match.end():].split("\n", 1)[0]
        if name in documented or name.endswith("_") or (
                match.group(0)[0] != "D" and (COMMENTED.search(text[:match.start()]) or "/*" in line)):
            continue
        missing.append(name)
    return missing


def check_headers():
    glib = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], text=True, capture_output=True,
                          check=True).stdout.split()
    for header in sorted(os.listdir(HEADERS)):
        lines = len(read(f"core/dlhost/{header}").splitlines())
        results.case(f"/headers/{header}/c11",
             compiles(CC, ["-x", "c", "-std=c11", "-pedantic", *glib], header))
        results.case(f"/headers/{header}/c++11",
             compiles(["g++"], ["-x", "c++", "-std=c++11", "-pedantic", *glib], header))
        results.case(f"/headers/{header}/c++17",
             compiles(["g++"], ["-x", "c++", "-std=c++17", *glib], header))
        results.case(f"/headers/{header}/documented", " ".join(undocumented(read(f"core/dlhost/{header}"))))
        results.case(f"/headers/{header}/short",
             f"{lines} lines, at most {MAX_LINES}" if lines > MAX_LINES else "")


    results.case("/headers/use/strict-c11", compiles(CC, ["-x", "c", "-std=c11", *glib], "dlhost.h", USE_C))
    results.case("/headers/use/c++11", compiles(["g++"], ["-x", "c++", "-std=c++11", *glib], "dlhost.h", USE_CXX))


def tracked_files():
    try:
        done = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True,
                              check=True, text=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return [name for name in done.stdout.split("\0") if os.path.isfile(os.path.join(ROOT, name))]


def check_licences(files):
    bad = [name for name in files
           if not NO_COMMENT.search(name) and LICENCE not in "\n".join(read(name).splitlines()[:3])]
    results.case("/sources/licence/in-the-first-lines", "\n".join(bad))


def check_includes(files):
    bad = []
    for name in files:
        if not name.startswith("plugins/") or not name.endswith((".c", ".h")):
            continue
        for include in re.findall(r'^#include [<"]([\w./-]+)[>"]', read(name), re.MULTILINE):
            folder = include.split("/")[0]
            if folder in ("graph", "exec", "cpu", "state", "plugin", "io", "model", "train"):
                bad.append(f"{name}: {include}")
    results.case("/sources/plugins/public-headers-only", "\n".join(bad))


def check_quiet(files):
    bad = []
    for name in files:
        if not name.startswith(("core/", "plugins/")) or not name.endswith((".c", ".h")):
            continue
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), read(name), flags=re.DOTALL)
        for number, line in enumerate(text.splitlines(), 1):
            if FORBIDDEN.search(re.sub(r'"(\\.|[^"\\])*"|//.*', "", line)):
                bad.append(f"{name}:{number}: {line.strip()}")
    results.case("/sources/core-and-plugins/neither-print-nor-exit", "\n".join(bad))


def main():
    check_headers()
    files = tracked_files()
    if files is None:
        results.case("/sources", "SKIP not a git checkout")
    else:
        check_licences(files)
        check_includes(files)
        check_quiet(files)
    results.finish()


main()
