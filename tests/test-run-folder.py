# SPDX-License-Identifier: MIT
"""What a run leaves in its folder: checkpoints by number and best metric, records that a kill does
not change, what is made of damaged and foreign files. Usage: test-run-folder.py DLHOST"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import tap

DLHOST = os.path.abspath(sys.argv[1])
DIR = pathlib.Path(tempfile.mkdtemp())
SMALL = ("--model=mlp,dropout=0.2 --dataset=synthetic,kind=blobs,dims=8,n=300,valid=50 --batch=32 --threads=1 "
         "--optimizer=adam").split()
LIMIT = 60


def dlhost(*args, code=0):
    done = subprocess.run([DLHOST, *args], cwd=DIR, timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def train(out, *args, code=0):
    return dlhost(*SMALL, f"--out={out}", *args, code=code)


def names(out, pattern="checkpoint-*"):
    return sorted(path.name for path in (DIR / out).glob(pattern))


def step_name(step):
    return f"checkpoint-{step}.safetensors"


def bytes_of(out, name):
    return (DIR / out / name).read_bytes()


def records(out):
    """The records without their times."""
    lines = [json.loads(line) for line in open(DIR / out / "metrics.jsonl")]
    assert all(a["wall"] <= b["wall"] for a, b in zip(lines, lines[1:]))
    assert all(a["cpu"] <= b["cpu"] for a, b in zip(lines, lines[1:]))
    assert lines[-1]["cpu"] > 0
    for line in lines:
        del line["wall"], line["cpu"]
    return lines


def read_safetensors(data):
    """(header, metadata, bytes after the header)"""
    n, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    return header, header.pop("__metadata__"), data[8 + n:]


def write_safetensors(path, header, metadata, rest):
    text = json.dumps({"__metadata__": metadata, **header}).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


# Kills.

LONG = "--steps=3000 --task.log=3 --task.evaluate=90 --task.checkpoint=110 --task.best=valid/loss --quiet".split()


def kills_change_nothing():
    train("whole", *LONG)
    kills = 0
    # Records until the kill: in the middle of checkpoints' distances, at evaluations, at the start.
    for i, at in enumerate((1, 60, 150, 151, 152, 300, 500, 700, 900)):
        begun = names("cut") != []
        if not begun:
            shutil.rmtree(DIR / "cut", ignore_errors=True)
        args = ["resume", "cut", "--quiet"] if begun else [*SMALL, "--out=cut", *LONG]
        process = subprocess.Popen([DLHOST, *args], cwd=DIR)
        metrics = DIR / "cut" / "metrics.jsonl"
        end = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < end:
            if metrics.exists() and metrics.read_bytes().count(b"\n") >= at:
                break
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 5, kills
    dlhost("resume", "cut", "--quiet")
    assert records("cut") == records("whole")
    for name in ("config.json", "checkpoint-best.safetensors", step_name(3000)):
        assert bytes_of("cut", name) == bytes_of("whole", name), name
    assert names("cut") == names("whole")
    assert not [n for n in os.listdir(DIR / "cut") if n.startswith(".")]


def early_stop_is_final():
    text = train("early", "--optimizer.lr=0", "--epochs=50", "--task.patience=2")
    assert "early stop at step 30" in text, text
    before, lines = bytes_of("early", step_name(30)), records("early")
    # As if it had been killed before its last evaluation, then finished.
    for _ in range(2):
        assert "early stop at step 30" in dlhost("resume", "early")
        assert bytes_of("early", step_name(30)) == before and records("early") == lines
    assert names("early") == [step_name(30)]


# What is kept.

MANY = "--steps=60 --task.checkpoint=10".split()


def newest_are_kept():
    train("newest", *MANY)
    assert names("newest") == [step_name(50), step_name(60)]
    train("one", *MANY, "--task.keep=1")
    assert names("one") == [step_name(60)]
    train("all", *MANY, "--task.keep=0")
    assert len(names("all")) == 6
    assert bytes_of("all", step_name(60)) != bytes_of("one", step_name(60))  # the configuration is inside
    assert read_safetensors(bytes_of("all", step_name(60)))[2] == read_safetensors(bytes_of("one", step_name(60)))[2]


def foreign_files_stay():
    folder = DIR / "foreign"
    folder.mkdir()
    foreign = ["checkpoint-007.safetensors", "checkpoint-+5.safetensors", "checkpoint-5.safetensors.bak",
               "checkpoint-5x.safetensors", "checkpoint-.safetensors", "checkpoint--5.safetensors",
               "checkpoint-99999999999999999999.safetensors", "best-5.safetensors"]
    for name in foreign:
        (folder / name).write_text("mine")
    os.symlink("checkpoint-007.safetensors", folder / step_name(4))
    (folder / step_name(3)).mkdir()
    train("foreign", *MANY)
    assert all((folder / name).read_text() == "mine" for name in foreign)
    assert (folder / step_name(4)).is_symlink() and (folder / step_name(3)).is_dir()
    assert set(names("foreign")) - set(foreign) == {step_name(n) for n in (3, 4, 50, 60)}


def best_is_kept():
    for metric, choose, lr in (("valid/loss", min, "1e-1"), ("max:test/loss", max, "1e-2")):
        out = f"best-{choose.__name__}"
        train(out, "--steps=400", "--task.evaluate=20", "--task.checkpoint=20", "--task.keep=0",
              f"--task.best={metric}", f"--optimizer.lr={lr}")
        name = metric.removeprefix("max:")
        values = [(line[name], line["step"]) for line in records(out) if name in line and line["event"] != "step"]
        best = choose(value for value, step in values)
        step = next(step for value, step in values if value == best)
        header, metadata, data = read_safetensors(bytes_of(out, "checkpoint-best.safetensors"))
        assert metadata["step"] == str(step) != "400", (metadata["step"], values)
        assert data == read_safetensors(bytes_of(out, step_name(step)))[2]


def best_must_exist():
    text = train("no-metric", "--steps=40", "--task.best=valid/los", code=2)
    assert "no metric 'valid/los' to watch" in text, text


# Damage.


def damaged_newest_is_passed_over():
    train("sound", *MANY)
    for damage in ("truncated", "flipped", "empty"):
        train(damage, *MANY)
        path = DIR / damage / step_name(60)
        data = bytearray(path.read_bytes())
        if damage == "flipped":
            data[-9] ^= 4
        path.write_bytes({"truncated": data[:-20], "flipped": data, "empty": b""}[damage])
        text = dlhost("resume", damage)
        assert f"note: {damage}/checkpoint-60.safetensors: " in text, text
        assert "going on from the checkpoint before it" in text, text
        assert bytes_of(damage, step_name(60)) == bytes_of("sound", step_name(60))
        assert records(damage) == records("sound")


def all_damaged_is_an_error():
    train("ruined", *MANY)
    for name in names("ruined"):
        (DIR / "ruined" / name).write_text("")
    text = dlhost("resume", "ruined", code=4)
    assert "ruined/checkpoint-50.safetensors" in text and text.count("\n") == 1, text


def leftovers_are_removed():
    train("leftover", "--steps=20")
    left = [".checkpoint-30.safetensors.0123abcd", ".checkpoint-best.safetensors.0123abcd", ".metrics.jsonl.ffffffff"]
    other = [".hidden", ".checkpoint-30.safetensors.mine", "notes.txt"]
    for name in left + other:
        (DIR / "leftover" / name).write_text("x")
    dlhost("resume", "leftover")
    assert not any((DIR / "leftover" / name).exists() for name in left)
    assert all((DIR / "leftover" / name).exists() for name in other)


def one_process_a_folder():
    process = subprocess.Popen([DLHOST, *SMALL, "--steps=100000000", "--task.checkpoint=50", "--quiet", "--out=busy"],
                               cwd=DIR)
    end = time.monotonic() + LIMIT
    while not names("busy") and time.monotonic() < end:
        time.sleep(0.01)
    text = dlhost("resume", "busy", code=2)
    process.kill()
    process.wait()
    assert "busy: another dlhost is running in this folder" in text, text
    dlhost("resume", "busy", "--steps=1")


def other_origin_is_said():
    train("origin", "--steps=20")
    path = DIR / "origin" / step_name(20)
    header, metadata, rest = read_safetensors(path.read_bytes())
    assert metadata["plugins"] == "optimizer adam 1.0, model mlp 1.0, dataset synthetic 1.0, task train 1.0", metadata
    assert metadata["threads"] == "1" and metadata["cpu"] in ("baseline", "avx2", "avx512")
    assert "note" not in dlhost("resume", "origin", "--steps=30")
    metadata["plugins"] = "optimizer adam 0.9"
    write_safetensors(DIR / "origin" / step_name(40), header, metadata, rest)
    text = dlhost("resume", "origin", "--steps=40")
    assert ("dlhost: note: the result may differ from an uninterrupted run's: the checkpoint is of "
            "'optimizer adam 0.9', the plugins are 'optimizer adam 1.0, ") in text, text


def checkpoint_is_in_the_configuration():
    """As seen from the folder: both may move; said when it has gone; of no matter to a resumed run."""
    data = [arg for arg in SMALL if not arg.startswith(("--batch", "--optimizer"))]
    train("tree/start", "--steps=20")
    start = f"--checkpoint={DIR}/tree/start/checkpoint-20.safetensors"
    dlhost("--task=evaluate", *data, start, "--task.split=valid", "--out=tree/score")
    config = json.loads((DIR / "tree/score/config.json").read_text())
    assert config["checkpoint"] == "../start/checkpoint-20.safetensors", config
    (DIR / "tree").rename(DIR / "moved")
    os.symlink("moved/score", DIR / "link")
    for number, file in enumerate(("moved/score", "link")):
        dlhost(f"--config={file}/config.json", f"--out=elsewhere/deep/{number}")
        assert records(f"elsewhere/deep/{number}") == records("moved/score")
    # What has begun from a checkpoint ends with the bytes of one that was not resumed.
    fine = [f"--checkpoint={DIR}/moved/start/checkpoint-20.safetensors", "--task.keep=0",
            "--task.checkpoint=30"]
    train("moved/whole", *fine, "--steps=60")
    shutil.copytree(DIR / "moved/whole", DIR / "moved/part")
    (DIR / "moved/part" / step_name(60)).unlink()
    for name in (DIR / "moved/start").glob("checkpoint-*"):
        name.unlink()
    dlhost("resume", "moved/part")
    for name in ("config.json", step_name(60)):
        assert bytes_of("moved/part", name) == bytes_of("moved/whole", name), name
    text = dlhost("--config=moved/score/config.json", "--out=gone", code=4)
    assert "moved/score/config.json: the checkpoint that it begins from, " in text, text
    assert "is not there: give --checkpoint=FILE" in text and not (DIR / "gone").exists(), text


def checkpoint_of_another_model():
    train("of-mlp", "--steps=20")
    text = dlhost("--task=evaluate", "--model=vae", "--dataset=synthetic,kind=images,n=40",
                  "--checkpoint=of-mlp/checkpoint-20.safetensors", "--out=of-vae", code=4)
    assert "it is a checkpoint of model 'mlp', and this run's is 'vae': give --model=mlp" in text, text
    assert not (DIR / "of-vae").exists()


def refused_runs_leave_nothing():
    """But what was there before, or was recorded, stays."""
    bad = ["--task=evaluate", "--model=mlp", "--dataset=synthetic,n=64,test=32", "--task.split=valid"]
    dlhost(*bad, "--out=refused/deep", code=2)
    assert not (DIR / "refused/deep").exists()
    (DIR / "mine").mkdir()
    dlhost(*bad, "--out=mine", code=2)
    assert names("mine", "*") == []
    (DIR / "mine/notes.txt").write_text("mine")
    dlhost(*bad, "--out=mine", code=2)
    assert (DIR / "mine/notes.txt").read_text() == "mine" and (DIR / "mine/config.json").exists()
    train("refused/deep", "--steps=20")
    # A number that is not finite is no refusal: the configuration tells how it came.
    dlhost("--model=mlp,activation=identity", "--optimizer=sgd,lr=1e6", *SMALL[1:3], "--steps=99",
           "--task.schedule=constant", "--task.images=0", "--out=diverged", code=5)
    assert (DIR / "diverged/config.json").exists()


TESTS = [
    ("/run-folder/kills/change-nothing", kills_change_nothing),
    ("/run-folder/checkpoint/in-the-configuration", checkpoint_is_in_the_configuration),
    ("/run-folder/checkpoint/of-another-model", checkpoint_of_another_model),
    ("/run-folder/refused/leaves-nothing", refused_runs_leave_nothing),
    ("/run-folder/early-stop/is-final", early_stop_is_final),
    ("/run-folder/keep/newest", newest_are_kept),
    ("/run-folder/keep/foreign-files-stay", foreign_files_stay),
    ("/run-folder/best/kept", best_is_kept),
    ("/run-folder/best/must-exist", best_must_exist),
    ("/run-folder/damaged/newest-passed-over", damaged_newest_is_passed_over),
    ("/run-folder/damaged/all-is-an-error", all_damaged_is_an_error),
    ("/run-folder/leftovers/removed", leftovers_are_removed),
    ("/run-folder/lock/one-process", one_process_a_folder),
    ("/run-folder/origin/difference-said", other_origin_is_said),
]


def main():
    failed = tap.run_all(TESTS)
    shutil.rmtree(DIR, ignore_errors=True)
    sys.exit(failed > 0)


main()
