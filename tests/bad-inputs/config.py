# SPDX-License-Identifier: MIT
"""Configuration files and the command line."""
import json
import os

from common import SMALL, TRAIN, Row, both, copy_run, write


def line(text, args, code=2, make=None, **more):
    return Row("config", text, args.split() if isinstance(args, str) else args, code, make, **more)


def small(text, args, code=2, make=None, **more):
    """A good command line with one thing more."""
    return line(text, [*SMALL, "--optimizer=sgd", "--steps=1", "--quiet", "--out=run",
                       *(args.split() if isinstance(args, str) else args)], code, make, **more)


def value(text, word, code=2):
    return line(f"number written as {text}",
                [*SMALL, "--steps=1", "--quiet", "--out=run", f"--optimizer=sgd,lr={word}"], code)


def recipe_with(arm):
    arms = [{"name": "a", "options": {"optimizer": "sgd"}, "grid": {"optimizer.lr": [1]}},
            {"name": "b", "options": {"optimizer": "sgd"}, "grid": {"optimizer.lr": [1]}, **arm}]
    return {"title": "T", "experiments": [{
        "name": "e", "title": "E", "options": {"model": "mlp", "dataset": "synthetic", "task": "train"},
        "arms": arms, "table": [{"metric": "test/loss"}]}]}


def recipe(text, content, code=2, **more):
    return line(text, "reproduce ./r.json --plan", code, write("r.json", json.dumps(content)), **more)


def config(text, content, code=2, args=("--quiet", "--out=run"), **more):
    return line(text, ["--config=c.json", *args], code, write("c.json", content), **more)


# A byte that is no letter, what clears a terminal, and a line break.
ODD = os.fsdecode(b"\xffa\x1b[2J\nb")

GOOD = {"model": {"plugin": "mlp", "hidden": [4]}, "optimizer": {"plugin": "sgd"},
        "dataset": {"plugin": "synthetic", "n": 20, "test": 10},
        "task": {"plugin": "train", "steps": 1}, "threads": 1}


def changed(**changes):
    return json.dumps({**GOOD, **changes})


def lr_of(directory, want):
    with open(os.path.join(directory, "run/config.json"), encoding="utf-8") as file:
        got = json.load(file)["optimizer"]
    return None if (got["plugin"], got["lr"]) == want else f"the run used {got}"


def seed_of(want):
    def check(directory, _out):
        with open(os.path.join(directory, "run/config.json"), encoding="utf-8") as file:
            got = json.load(file)["seed"]
        return None if str(got) == want else f"the run used seed {got}"
    return check


PARSE = (r"<data>:\d+:\d+: .*",)  # json-glib's words differ between versions

ROWS = [
    line("unknown option", "--optimiser=sgd"),
    line("unknown option, nothing near", "--zzzzzz=1"),
    line("unknown command that is not UTF-8, with an escape sequence and a line break", [ODD]),
    line("unknown option that is not UTF-8", ["--" + ODD]),
    line("unknown option of a kind, not UTF-8", [f"--optimizer.{ODD}=1", *SMALL, "--optimizer=sgd"]),
    line("parameter that is not UTF-8", [*SMALL, f"--optimizer=sgd,{ODD}=1"]),
    line("--seed that is not UTF-8", [f"--seed={ODD}"]),
    line("--config: path that is not UTF-8", [f"--config=./{ODD}"], 4),
    line("--out that is not UTF-8, below a file",
         [*SMALL, "--optimizer=sgd", "--steps=1", f"--out=x/{ODD}"], 1, write("x", "")),
    line("list of a kind that is not UTF-8", ["list", ODD]),
    line("resume of a folder that is not UTF-8", ["resume", ODD], 4),
    line("unknown command", "lst"),
    line("option given twice", "--seed=1 --seed=2"),
    line("option without a value", "--seed"),
    line("switch with a value", "--quiet=yes"),
    line("two dashes only", "--"),
    line("option of a kind that does not exist", "--optimiser.lr=1"),
    line("option of a command given to another", "list --steps=3"),
    line("too many operands", "inspect sgd adam"),
    line("too few operands", "inspect"),
    line("list of a kind that does not exist", "list optimizers"),
    line("no plugin's name", [*TRAIN[:-1], "--sampler="]),
    line("parameter without =", [*SMALL, "--optimizer=sgd,lr"]),
    line("parameter without a name", [*SMALL, "--optimizer=sgd,=1"]),
    line("parameter given twice", [*SMALL, "--optimizer=sgd,lr=1,lr=2"]),
    line("parameter given twice, once with a dot", [*SMALL, "--optimizer=sgd,lr=1",
                                                    "--optimizer.lr=2"]),
    line("unknown parameter", [*SMALL, "--optimizer=kfac,dampin=1"]),
    line("unknown parameter, nothing near", [*SMALL, "--optimizer=sgd,temperature=1"]),
    line("parameters of a plugin that is not named", [*SMALL, "--optimizer.lr=1"]),
    line("no optimizer", [*SMALL, "--steps=1", "--quiet", "--out=run"]),
    line("no model", "--optimizer=sgd --dataset=synthetic --steps=1 --quiet --out=run"),
    value("a word", "fast"),
    value("nothing", ""),
    value("1e", "1e"),
    value("0x1", "0x1"),
    value("a blank and 5", " 5"),
    value("5 and a blank", "5 "),
    value("1_000", "1_000"),
    value("1,5 (decimal comma)", "1,5"),
    value("1e400", "1e400"),
    value("1e-400", "1e-400"),
    value("nan", "nan"),
    value("inf", "inf"),
    value("-1 where it may not be negative", "-1"),
    line("whole number with a fraction", [*SMALL, "--optimizer=sgd", "--steps=1.5"]),
    line("whole number beyond 64 bits", [*SMALL, "--optimizer=sgd", "--steps=9223372036854775808"]),
    line("number of the wrong sign in a list", [*SMALL, "--optimizer=aggmo,betas=[0,-0.5]"]),
    line("list that does not end", [*SMALL, "--optimizer=aggmo,betas=[0,0.5"]),
    line("list that is empty", [*SMALL, "--optimizer=aggmo,betas=[]"]),
    line("choice that does not exist", ["--model=mlp,activation=rellu", *SMALL[1:],
                                        "--optimizer=sgd"]),
    line("truth value that is neither", [*SMALL, "--optimizer=sgd,nesterov=maybe"]),
    small("--seed=2^64", "--seed=18446744073709551616"),
    small("--seed=-1", "--seed=-1"),
    small("--seed=2^64 - 1", "--seed=18446744073709551615", 0,
          check=seed_of("18446744073709551615")),
    line("--threads beyond the limit", [*SMALL[:2], "--optimizer=sgd", "--threads=1025"]),
    small("--dtype=f16", "--dtype=f16"),
    small("value that is not UTF-8", ["--task.monitor=" + os.fsdecode(b"\xff")]),
    small("value with a line break and an escape sequence", ["--task.schedule=a\n\x1b[2J"]),
    line("--out= with nothing", [*SMALL, "--optimizer=sgd", "--out="]),
    line("--out is a file", [*TRAIN[:-1], "--out=x"], 1, write("x", b"")),
    line("--out below a file", [*TRAIN[:-1], "--out=x/y"], 1, write("x", b"")),
    line("--out in a directory without write permission", [*TRAIN[:-1], "--out=shut/run"], 1,
         lambda d: os.mkdir(os.path.join(d, "shut"), 0o555), nobody=True),
    line("--out holds a run", TRAIN, 2, copy_run),
    line("resume with a plugin", "resume run --optimizer=adam", 2, copy_run),
    line("resume with --out", "resume run --out=x", 2, copy_run),
    recipe("reproduce: recipe that is a list", []),
    recipe("reproduce: recipe without experiments", {"title": "T"}),
    recipe("reproduce: unknown member of an arm", recipe_with(arm={"gird": {}})),
    recipe("reproduce: grids of different sizes", recipe_with(arm={"grid": {"optimizer.lr": [1, 2]}})),
    recipe("reproduce: option that no plugin has", recipe_with(arm={"options": {"optimizer": "sgd", "optimizer.rate": 1}})),
    line("reproduce: no such recipe", "reproduce nothing", vary=(r"there are .*;",)),
    line("reproduce: no such file", "reproduce ./none.json", 4),
    line("--config: no such file", "--config=none.json", 4),
    line("--config: directory", "--config=.", 4),
    config("--config: empty file", ""),
    config("--config: larger than 1 MB", changed(seed=1) + " " * (1 << 20), 4),
    config("--config: list", "[]"),
    config("--config: number", "1"),
    config("--config: comment", changed()[:-1] + "/* end */}", vary=(r"byte \d+",)),
    config("--config: comma at the end", '{"seed":1,}', vary=PARSE),
    config("--config: one key twice", '{"seed":1,"seed":2}'),
    config("--config: one key of a plugin twice",
           '{"optimizer":{"plugin":"sgd","lr":1,"lr":2}}'),
    config("--config: brackets 1000 deep", '{"seed":' + "[" * 1000 + "]" * 1000 + "}"),
    config("--config: not UTF-8", b'{"out":"\xff"}', vary=PARSE),
    config("--config: NUL", b'{"seed":1}\0', vary=PARSE),
    config("--config: cut short", changed()[:50], vary=PARSE),
    config("--config: unknown member", changed(sead=1)),
    config("--config: member of the wrong type", changed(seed="one")),
    config("--config: member that is null", changed(seed=None)),
    *(config(f"--config: checkpoint that is {what}", changed(checkpoint=value), args=("--quiet",))
      for what, value in (("a number", 5), ("a list", []), ("true", True), ("null", None), ("an object", {}),
                          ("empty", ""))),
    config("--config: out that is a number", changed(out=5), args=("--quiet",)),
    config("--config: plugin that is a text", changed(model="mlp")),
    config("--config: plugin without its name", changed(model={"hidden": [4]})),
    config("--config: plugin's name that is a number", changed(model={"plugin": 3}), 3,
           vary=(r"searched .*",)),
    config("--config: plugin's name that is empty", changed(model={"plugin": ""}), 3,
           vary=(r"searched .*",)),
    config("--config: parameter that is an object",
           changed(optimizer={"plugin": "sgd", "lr": {"value": 1}})),
    config("--config: parameter that is null", changed(optimizer={"plugin": "sgd", "lr": None})),
    config("--config: null in a list", changed(model={"plugin": "mlp", "hidden": [4, None]})),
    config("--config: unknown parameter", changed(optimizer={"plugin": "sgd", "learn": 1})),
    config("--config: seed 2^53 + 1", changed(seed=9007199254740993), 0,
           check=seed_of("9007199254740993")),
    config("--config: seed 1e30", changed(seed=1e30)),
    config("--config: seed 2^63", changed(seed=1 << 63), vary=(r"'-?[\d.e+]+'",)),
    config("--config: negative seed", changed(seed=-1)),
    config("--config: plugin that the command line replaces, with its parameters",
           changed(optimizer={"plugin": "kfac", "damping": 0.5}), 0,
           ["--quiet", "--out=run", "--optimizer=sgd,lr=0.25"],
           check=lambda d, _: lr_of(d, ("sgd", 0.25))),
    config("--config: parameter that the command line replaces",
           changed(optimizer={"plugin": "sgd", "lr": 0.5}), 0,
           ["--quiet", "--out=run", "--optimizer.lr=0.25"],
           check=lambda d, _: lr_of(d, ("sgd", 0.25))),
]
