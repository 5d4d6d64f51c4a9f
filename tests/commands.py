# SPDX-License-Identifier: MIT
"""The commands of the program dlhost as a person or a script gives them, as TAP: exit codes, one-line
messages, JSON that parses, files that other programs read.

usage: commands.py DLHOST PLUGIN_DIRECTORY"""
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile

import tap

PROGRAM = os.path.abspath(sys.argv[1])
PLUGINS = os.path.abspath(sys.argv[2])
SMALL = ("--model=mlp,dropout=0.2 --dataset=synthetic,kind=blobs,dims=8,n=300 --batch=32 "
         "--threads=1 --optimizer=adam")
cases = []
folder = tempfile.mkdtemp(prefix="dlhost-commands-")


def case(name):
    """Registers a test under its path."""
    def register(function):
        cases.append((name, function))
        return function
    return register


def run(line, code=0, **more):
    """Runs dlhost; the exit code must be @code. Returns standard output and standard error."""
    env = dict(os.environ, DLHOST_PLUGIN_PATH=PLUGINS, COLUMNS="80", **more)
    done = subprocess.run([PROGRAM, *line.split()], cwd=folder, env=env, text=True,
                          capture_output=True, check=False)
    assert done.returncode == code, f"{line}: exit code {done.returncode}, not {code}: {done.stderr}"
    assert "CRITICAL" not in done.stderr and "WARNING" not in done.stderr, done.stderr
    return done.stdout, done.stderr


def refused(line, code, text):
    """The command fails with one line on standard error that has @text in it."""
    out, err = run(line, code)
    assert err.startswith("dlhost: ") and err.count("\n") == 1, err
    assert text in err, f"'{text}' is not in: {err}"
    assert out == "", out


def commands():
    """The names that the help lists."""
    names, inside = [], False
    for text in run("--help")[0].splitlines():
        inside = text.endswith(":") if not text.startswith(" ") else inside
        if text.startswith("Options"):
            break
        if inside and text.startswith("  ") and text[2] != " ":
            names.append(text.split()[0])
    return names


def first_run():
    """A run folder, made once."""
    if not os.path.exists(os.path.join(folder, "first")):
        run(f"{SMALL} --steps=20 --out=first --quiet")
    return "first"


@case("/commands/help/fits-eighty-columns")
def _():
    names = commands()
    assert {"run", "resume", "list", "inspect", "doctor", "help"} <= set(names), names
    for name in names:
        out, _ = run(f"{name} --help")
        assert out.startswith(f"Usage: dlhost {name}"), out
        assert run(f"help {name}")[0] == out
        assert "Exit codes:" in out
        wide = [text for text in out.splitlines() if len(text) > 80 and "  dlhost" not in text]
        assert not wide, wide


@case("/commands/help/same-by-every-name")
def _():
    assert run("--help")[0] == run("-h")[0] == run("help")[0] == run("")[0]
    assert run("--version")[0] == "dlhost 1.0.0\n"


@case("/commands/wrong-usage/one-line")
def _():
    refused("help hepl", 2, "no command 'hepl'")
    refused("lsit", 2, "unknown command 'lsit', did you mean 'list'?")
    refused("list optimiser", 2, "did you mean 'optimizer'?")
    refused("list a b", 2, "list takes [KIND], but 2 are given")
    refused("inspect", 2, "inspect takes PLUGIN, but 0 are given")
    refused("inspect kfca", 3, "did you mean 'kfac'?")
    refused("inspect kfac --jsn", 2, "unknown option --jsn of inspect, did you mean --json?")
    refused("doctor --json=1", 2, "--json takes no value")
    refused("inspect-checkpoint /nonexistent", 4, "/nonexistent")
    refused("repeat /nonexistent", 4, "/nonexistent")


@case("/commands/list/json-and-long")
def _():
    found = json.loads(run("list --json")[0])
    assert found["refused"] == []
    kinds = {p["name"]: p["kind"] for p in found["plugins"]}
    assert kinds["sgd"] == "optimizer" and kinds["mlp"] == "model" and kinds["train"] == "task"
    assert [p["name"] for p in json.loads(run("list task --json")[0])["plugins"]] == \
        sorted(name for name, kind in kinds.items() if kind == "task")
    assert os.path.join(PLUGINS, "sgd.so") in run("list optimizer --long")[0]


@case("/commands/inspect/every-plugin-as-json")
def _():
    for plugin in json.loads(run("list --json")[0])["plugins"]:
        one = json.loads(run(f"inspect {plugin['name']} --json")[0])
        assert len(one["parameters"]) == plugin["n_parameters"]
        text = run(f"inspect {plugin['name']}")[0]
        for parameter in one["parameters"]:
            assert f"\n  {parameter['name']} " in text
            assert parameter["type"] != "bool" or parameter["default"] in ("true", "false"), parameter
            assert " TRUE " not in text and " FALSE " not in text, text


@case("/commands/doctor/says-what-is-refused")
def _():
    out, _ = run("doctor")
    assert "DLHOST_PLUGIN_PATH" in out and "no plugin is refused" in out
    whole = json.loads(run("doctor --json")[0])
    assert whole["healthy"] and whole["versions"]["dlhost"] == "1.0.0"
    assert whole["machine"]["cpu_level"] in whole["machine"]["cpu_levels"].split()
    assert whole["plugins"]["all"] == len(json.loads(run("list --json")[0])["plugins"])
    bad = os.path.join(folder, "bad")
    os.makedirs(bad)
    with open(os.path.join(bad, "text.so"), "w", encoding="utf-8") as file:
        file.write("text")
    out, _ = run(f"doctor --plugin-path={bad}", 3)
    assert "text.so is a text file, not a shared object" in " ".join(out.split())
    assert "1 file is refused" in out
    whole = json.loads(run(f"doctor --json --plugin-path={bad}", 3)[0])
    assert not whole["healthy"] and "text.so" in whole["refused"][0]["text"]
    os.chmod(bad, 0o777)
    assert "everyone can write here" in " ".join(run(f"doctor --plugin-path={bad}", 3)[0].split())


@case("/commands/repeat/same-bytes")
def _():
    name = first_run()
    out, err = run(f"repeat {name} --quiet")
    assert out.startswith("identical: ") and err == "", out + err
    assert os.path.exists(os.path.join(folder, "first-repeat", "config.json"))
    assert "identical" in run(f"repeat {name} --quiet --out=again")[0]


@case("/commands/repeat/evaluations")
def _():
    """From the checkpoint that they began from; without one of their own, record by record."""
    name = first_run()
    score = "--task=evaluate --task.images=0 " + SMALL.split("--batch")[0]
    run(f"{score} --threads=1 --checkpoint={name}/checkpoint-20.safetensors --out=scored --quiet")
    assert "identical: the records of scored and scored-repeat" in run("repeat scored --quiet")[0]
    assert "identical" in run("repeat scored --quiet --out=deep/down/again")[0]
    path = os.path.join(folder, "scored", "metrics.jsonl")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r'("test/loss":)[0-9.]+', r"\g<1>9", text))
    out, _ = run("repeat scored --quiet", 1)
    assert "first in line 1 of metrics.jsonl" in out, out
    with open(path, "w", encoding="utf-8") as file:
        file.write("")
    refused("repeat scored --quiet", 4, "scored: no checkpoint-<step>.safetensors in this folder, and "
            "no final record in its metrics.jsonl")


@case("/commands/repeat/says-where-runs-part")
def _():
    run(f"{SMALL} --steps=20 --out=seeded --quiet")
    path = os.path.join(folder, "seeded", "config.json")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace('"seed": 0', '"seed": 1'))
    path = os.path.join(folder, "seeded", "machine.json")
    with open(path, encoding="utf-8") as file:
        machine = json.load(file)
    machine["cpu_level"] = "other"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(machine, file)
    out, err = run("repeat seeded --quiet", 1)
    assert out.startswith("different: ") and "adam/mlp/hidden1/bias/m differs, first at" in out, out
    assert "cpu_level was 'other'" in err, err


def write_safetensors(path, tensors, metadata):
    """An oracle of our own: (name, type, shape, bytes)."""
    header, data = {"__metadata__": metadata}, b""
    for name, kind, shape, raw in tensors:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


@case("/commands/inspect-checkpoint/foreign-file")
def _():
    path = os.path.join(folder, "foreign.safetensors")
    floats = struct.pack("<4f", 1, 2, 6, float("nan"))
    write_safetensors(path, [("w", "F32", [2, 2], floats),
                             ("half", "BF16", [2], struct.pack("<2H", 0x3F80, 0xC000)),
                             ("flags", "BOOL", [3], b"\1\0\1"), ("none", "F64", [0], b"")],
                      {"from": "elsewhere"})
    found = json.loads(run("inspect-checkpoint foreign.safetensors --json")[0])
    by_name = {t["name"]: t for t in found["tensors"]}
    w = by_name["w"]
    assert (w["min"], w["max"], w["mean"], w["not_finite"], w["bytes"]) == (1, 6, 3, 1, 16), w
    assert abs(w["std"] - (14 / 3) ** 0.5) < 1e-12, w
    half = by_name["half"]
    assert (half["type"], half["min"], half["max"], half["bytes"]) == ("BF16", -2, 1, 4), half
    assert by_name["flags"]["bytes"] == 3 and by_name["flags"]["shape"] == [3]
    assert by_name["none"]["min"] is None and found["not_finite"] == 1
    assert found["metadata"] == {"from": "elsewhere"}
    out, _ = run("inspect-checkpoint foreign.safetensors")
    assert "1 NaN or infinite" in out and "from: elsewhere" in out and "4 tensors" in out


@case("/commands/inspect-checkpoint/compare")
def _():
    raw = struct.pack("<3d", 1, 2, float("nan"))
    for name, tensors in {"a": [("x", "F64", [3], raw), ("y", "I64", [], b"\0" * 8)],
                          "b": [("x", "F64", [3], struct.pack("<3d", 1, 2.5, float("nan"))),
                                ("z", "I64", [], b"\0" * 8)]}.items():
        write_safetensors(os.path.join(folder, f"{name}.safetensors"), tensors, {})
    assert "identical: 2 tensors" in run("inspect-checkpoint a.safetensors --compare=a.safetensors")[0]
    found = json.loads(run("inspect-checkpoint a.safetensors --compare=b.safetensors --json", 1)[0])
    assert [(t["name"], t["outcome"]) for t in found["tensors"]] == \
        [("x", "differs"), ("y", "only in the first"), ("z", "only in the second")]
    assert found["tensors"][0]["max_change"] == 0.5 and found["tensors"][0]["first"] == 1
    assert "3 of 3 tensors differ" in run("inspect-checkpoint a.safetensors --compare=b.safetensors", 1)[0]
    first_run()
    assert '"plugin": "adam"' in \
        run("inspect-checkpoint first/checkpoint-20.safetensors --metadata")[0]


def completed(line, **more):
    """What bash would offer for the command line @line, through the script that is installed."""
    text = ('source <("$PROGRAM" completion bash); COMP_LINE="$LINE"; '
            'COMP_POINT=${#COMP_LINE}; _dlhost; printf "%s\\n" "${COMPREPLY[@]}"')
    env = dict(os.environ, DLHOST_PLUGIN_PATH=PLUGINS, PROGRAM=PROGRAM, LINE=line,
               PATH=f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}", **more)
    done = subprocess.run(["bash", "--norc", "-c", text], cwd=folder, env=env, text=True,
                          capture_output=True, check=True)
    assert done.stderr == "", done.stderr
    return [answer for answer in done.stdout.split("\n") if answer]


@case("/commands/completion/commands-and-options")
def _():
    if not shutil.which("bash"):
        return "bash is not installed"
    assert completed("dlhost insp") == ["inspect ", "inspect-checkpoint "]
    assert {f"{name} " for name in commands()} == set(completed("dlhost "))
    assert completed("dlhost doctor --j") == ["--json "]
    assert completed("dlhost doctor --json --j") == []
    assert completed("dlhost --dty") == ["--dtype="]
    # Bash itself cuts the word at =: only what follows is handed back.
    assert completed("dlhost --dtype=") == ["f32 ", "f64 "]
    assert completed("dlhost --dtype f6") == ["f64 "]
    assert completed("dlhost help resu") == ["resume "]
    assert completed("dlhost list opt") == ["optimizer "]
    assert completed("dlhost list optimizer ") == []
    assert completed("dlhost nonsense ") == []


@case("/commands/completion/plugins-and-parameters")
def _():
    if not shutil.which("bash"):
        return "bash is not installed"
    found = {p["name"]: p["kind"] for p in json.loads(run("list --json")[0])["plugins"]}
    assert completed("dlhost --model=") == sorted(n for n, k in found.items() if k == "model")
    assert completed("dlhost inspect ") == sorted(f"{n} " for n in found)
    kfac = [p["name"] for p in json.loads(run("inspect kfac --json")[0])["parameters"]]
    assert completed("dlhost --optimizer=kfac,") == sorted(f"kfac,{name}=" for name in kfac)
    assert completed("dlhost --optimizer=kfac.so --optimizer.mom") == ["--optimizer.momentum="]
    assert completed("dlhost --optimizer=aggmo,lr=0.1,betas=") == ["[0,0.9,0.99]"]
    assert completed("dlhost --optimizer=aggmo,betas=[0,0.5],l") == ["[0,0.5],lr="]
    assert completed("dlhost --optimizer=aggmo,betas=[0,0.9,") == ["[0,0.9,0.99]"]
    assert "cosine" in completed("dlhost --task.schedule=")
    assert completed("dlhost run --model=mlp,activation=ta") == ["tanh"]
    # A plugin that is found through the line's own search path.
    empty = os.path.join(folder, "empty")
    os.makedirs(empty, exist_ok=True)
    shutil.copy(os.path.join(PLUGINS, "sgd.so"), empty)
    env = {"XDG_DATA_HOME": empty}
    assert "sgd" in completed(f"dlhost --plugin-path={empty} --optimizer=sg", **env)


@case("/commands/completion/files-and-runs")
def _():
    if not shutil.which("bash"):
        return "bash is not installed"
    first_run()
    assert "first " in completed("dlhost repeat fi")
    assert completed("dlhost inspect-checkpoint first/check") == \
        ["first/checkpoint-20.safetensors "]
    assert completed("dlhost --config=first/co") == ["first/config.json "]
    assert "first/" in completed("dlhost --out=fir")


@case("/commands/completion/typed-in-a-terminal")
def _():
    if not shutil.which("bash"):
        return "bash is not installed"
    try:
        pid, terminal = pty.fork()
    except OSError as error:
        return f"no pseudo-terminal: {error}"
    if pid == 0:
        os.chdir(folder)
        os.environ.update(DLHOST_PLUGIN_PATH=PLUGINS, TERM="dumb", PS1="$ ", HISTFILE="",
                          PATH=f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}")
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    seen = ""
    # What the keys write must come out as a whole word: = is where readline cuts.
    for keys, wanted in [("source <(dlhost completion bash); echo re''ady\n", "ready"),
                         ("dlhost --optimizer=aggmo,betas=\t", "betas=[0,0.9,0.99]"),
                         (" --dtype=f6\t", "--dtype=f64 ")]:
        os.write(terminal, keys.encode())
        while wanted not in seen:
            ready, _, _ = select.select([terminal], [], [], 30)
            assert ready, f"'{wanted}' is not in: {seen}"
            seen += os.read(terminal, 4096).decode(errors="replace")
    os.write(terminal, b"\x15exit\n")
    os.waitpid(pid, 0)
    os.close(terminal)


@case("/commands/man/lint-finds-nothing")
def _():
    out, _ = run("man", SOURCE_DATE_EPOCH="0")
    assert ".TH DLHOST 1 1970-01-01" in out
    for name in commands():
        assert f".SS dlhost {name}".replace("-", "\\-") in out
    if not shutil.which("mandoc"):
        return "mandoc is not installed"
    path = os.path.join(folder, "dlhost.1")
    with open(path, "w", encoding="utf-8") as file:
        file.write(out)
    done = subprocess.run(["mandoc", "-T", "lint", path], text=True, capture_output=True, check=False)
    assert done.stdout + done.stderr == "", done.stdout + done.stderr


def canonical(dot):
    """Graphviz's own view of @dot, as edges and clusters; empty where it is not installed."""
    if not shutil.which("dot"):
        return ""
    done = subprocess.run(["dot", "-Tcanon"], input=dot, text=True, capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


@case("/commands/graph/dot-parses")
def _():
    out, _ = run(f"graph {SMALL}")
    # 32 rows, 8 inputs, 128 units: 2 x 32 x 8 x 128 operations.
    assert 'label="linear\\nf32 [32,128]\\n65.5 kF, ' in out, out
    assert 'label="mlp";' in out and 'label="hidden1";' in out and 'label="adam";' in out
    assert 'label="mlp/hidden1/weight\\nf32 [128,8]", shape=ellipse' in out
    fused, _ = run(f"graph {SMALL} --fused")
    assert "fused: " in fused and fused.count("[label=") < out.count("[label=")
    for text in (out, fused):
        boxes = set(re.findall(r"^ *([ns]\d+) \[label=", text, re.MULTILINE))
        ends = set(re.findall(r"^  ([ns]\d+) -> ", text, re.MULTILINE)) | \
            set(re.findall(r" -> ([ns]\d+);$", text, re.MULTILINE))
        assert ends <= boxes, ends - boxes
        assert boxes - ends == set(), boxes - ends
        canonical(text)
    assert run(f"graph {SMALL} --part=evaluation")[0].count("adam") == 0
    refused(f"graph {SMALL} --part=x", 2, "'step', or 'evaluation'")
    refused(f"graph {SMALL} --format=bmp", 2, "must be dot, svg, png or pdf")
    refused("graph --optimizer=adam", 2, "--model=NAME")


@case("/commands/graph/pictures-through-graphviz")
def _():
    if not shutil.which("dot"):
        return "Graphviz is not installed"
    run(f"graph {SMALL} --fused --out=step.svg")
    with open(os.path.join(folder, "step.svg"), encoding="utf-8") as file:
        assert "<svg" in file.read()
    run(f"graph {SMALL} --fused --format=png --out=picture")
    with open(os.path.join(folder, "picture"), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


@case("/commands/graph/says-what-to-install")
def _():
    refused_path = dict(PATH="/nonexistent")
    _, err = run(f"graph {SMALL} --format=svg", 1, **refused_path)
    assert "Debian: graphviz" in err and err.count("\n") == 1, err


@case("/commands/profile/counts-what-is-done")
def _():
    found = json.loads(run(f"profile {SMALL} --json --repeats=2")[0])
    assert found["product_flops_per_second"] > 1e8 and found["copy_bytes_per_second"] > 1e7
    assert (found["batch"], found["threads"]) == (32, 1)
    assert [f["name"] for f in found["functions"]] == ["step", "evaluation"]
    step, evaluation = found["functions"]
    assert step["runs_in_a_step"] == 1 and evaluation["runs_in_a_step"] == 0
    linear = [s for s in evaluation["steps"] if s["name"] == "linear"]
    assert [s["flops"] for s in linear] == [2 * 32 * 8 * 128, 2 * 32 * 128 * 3], linear
    assert linear[0]["bytes"] == 4 * (32 * 8 + 128 * 8 + 128 + 32 * 128), linear
    assert {s["scope"] for s in linear} == {"mlp/hidden1", "mlp/output"}
    # Backward: the gradient of both weights, and of the hidden layer alone.
    products = sum(s["flops"] for s in step["steps"] if s["name"] in ("linear", "matmul"))
    assert products == 2 * (2 * 32 * 8 * 128) + 3 * (2 * 32 * 128 * 3), products
    for f in found["functions"]:
        for name in ("seconds", "flops", "bytes"):
            assert abs(sum(s[name] for s in f["steps"]) - f[name]) <= 1e-9 * abs(f[name])
    assert found["step_seconds"] == step["seconds"]


@case("/commands/profile/work-that-is-not-always-due")
def _():
    line = SMALL.replace("adam", "kfac,statistics=4,inverses=20")
    found = json.loads(run(f"profile {line} --json --repeats=1")[0])
    runs = {f["name"]: f["runs_in_a_step"] for f in found["functions"]}
    assert runs == {"step": 0.75, "step with statistics": 0.25, "after: inverses": 0.05,
                    "evaluation": 0}, runs
    out, _ = run(f"profile {line} --repeats=1 --rows=2")
    assert "after: inverses, 0.05 in a training step" in out and "more\n" in out
    assert max(len(text) for text in out.splitlines()) <= 80, out
    refused(f"profile {SMALL} --repeats=0", 2, "--repeats: '0' must be a whole number from 1")


def main():
    failed = tap.run_all(cases)
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(failed > 0)


main()
