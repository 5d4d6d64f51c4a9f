# SPDX-License-Identifier: MIT
"""What a person at a terminal sees of dlhost, and what becomes of a run whose terminal, output or
patience ends. Runs the program on pseudo-terminals. Usage: test-terminal.py DLHOST"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

import tap

DLHOST = os.path.abspath(sys.argv[1])
DIR = pathlib.Path(tempfile.mkdtemp())
SMALL = "--model=mlp --dataset=synthetic,kind=blobs,dims=8,n=300 --batch=32 --threads=1 --optimizer=adam".split()
ENDLESS = SMALL + ["--steps=100000000", "--task.evaluate=1000000", "--task.checkpoint=1000000"]
LIMIT = 60  # seconds until a run that shows nothing counts as hung
DRAWN = re.compile(r"\r\x1b\[K([^\r\n]*)(?=\r)")  # a line that another has replaced
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def environment(**changes):
    env = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8")
    # glibc itself leaks LOCPATH, and a report to a closed terminal is an error: leaks are checked elsewhere.
    env["ASAN_OPTIONS"] = ":".join(filter(None, [env.get("ASAN_OPTIONS"), "detect_leaks=0"]))
    for name in ("NO_COLOR", "COLUMNS", "LOCPATH"):
        env.pop(name, None)
    env.update(changes)
    return {k: v for k, v in env.items() if v is not None}


class OnTerminal:
    """dlhost as the leader of a session on a terminal of its own."""

    def __init__(self, args, columns=80, stdout=None, ignore=(), **env):
        self.master, slave = pty.openpty()
        self.resize(columns)

        def prepare():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            # Whoever runs the tests under nohup, or in the background, ignores some.
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            for number in ignore:
                signal.signal(number, signal.SIG_IGN)

        self.process = subprocess.Popen(
            [DLHOST, *args], cwd=DIR, env=environment(**env), stdin=slave, stdout=stdout or slave,
            stderr=slave, start_new_session=True, preexec_fn=prepare)
        os.close(slave)
        self.text = ""

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self, seconds=0.5):
        """Whether something came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def until(self, condition):
        end = time.monotonic() + LIMIT
        while not condition(self.text):
            if time.monotonic() > end or not self.read():
                raise AssertionError(f"never seen; the output is {self.text!r}")

    def end(self):
        """The exit code, after all output."""
        end = time.monotonic() + LIMIT
        while self.read() and time.monotonic() < end:
            pass
        return self.process.wait(LIMIT)

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.end()
        return self.text


def drawn(text):
    return [COLOUR.sub("", line) for line in DRAWN.findall(text)]


def watch(columns=80, n=3, **env):
    """The text of a run on a terminal, until n lines have been drawn and replaced."""
    run = OnTerminal(ENDLESS + [f"--out={folder()}"], columns, **env)
    run.until(lambda text: len(drawn(text)) >= n)
    return run.stop()


count = 0


def folder():
    global count
    count += 1
    return f"run{count}"


def plain(args, **kwargs):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
    return subprocess.run([DLHOST, *args], cwd=DIR, env=environment(), timeout=LIMIT, text=True, **streams)


# What is drawn.


def bar_shows_all():
    text = watch(columns=120)
    line = drawn(text)[-1]
    assert re.fullmatch(r"[━─]{10,40}  step \d+/100000000  \d+%  loss [\d.e-]+  accuracy [\d.]+"
                        r"  \d+ examples/s  [\d: dh]+ left", line), line
    assert COLOUR.search(text)


def bar_without_examples():
    """A task that goes through none has no rate."""
    run = OnTerminal(["--task=quadratics", "--threads=1", f"--out={folder()}"], columns=120)
    run.until(lambda text: len(drawn(text)) >= 3)
    lines = drawn(run.stop())
    bars = [line for line in lines if re.match("[━─]", line)]  # between them records may come
    assert bars and all(re.search(r"  step \d+/\d+  \d+%  ", line) for line in bars), lines
    assert not any("examples/s" in line for line in lines), lines


def no_colour_is_honoured():
    text = watch(NO_COLOR="1")
    assert not COLOUR.search(text), text
    assert COLOUR.search(watch(NO_COLOR=""))  # as no-color.org has it: only when not empty


def ascii_locale():
    for locale in ("C", "xx_XX.nonsense"):
        text = watch(LC_ALL=locale)
        assert text.isascii(), text
        assert re.match(r"\[[#-]+\]  step ", drawn(text)[-1]), text


def widths_are_kept():
    for columns in (1, 3, 8, 20, 50, 51, 79, 200):
        lines = drawn(watch(columns=columns))
        assert max(map(len, lines)) < columns, lines
    assert any(lines)


def resize_is_followed():
    run = OnTerminal(ENDLESS + [f"--out={folder()}"], 100)
    run.until(lambda text: len(drawn(text)) >= 2)
    run.resize(30)
    n = len(drawn(run.text))
    run.until(lambda text: len(drawn(text)) >= n + 4)
    lines = drawn(run.stop())
    assert len(lines[1]) > 60 and len(lines[-1]) < 30, lines


def columns_are_the_fallback():
    # A terminal that does not know its size.
    for columns, limit in (("0", 80), ("-3", 80), ("many", 80), (None, 80), ("44", 44), ("1", 1)):
        lines = drawn(watch(columns=0, COLUMNS=columns))
        assert max(map(len, lines)) < limit, lines
        assert limit == 1 or max(map(len, lines)) > limit / 2, lines


def dumb_terminals_get_lines():
    for term in ("dumb", "", None):
        run = OnTerminal(SMALL + ["--steps=2000", "--task.evaluate=500", f"--out={folder()}"], TERM=term)
        assert run.end() == 0
        assert "\x1b" not in run.text and "final  step 2000" in run.text, run.text


def pipes_get_lines():
    done = plain(SMALL + ["--epochs=3", f"--out={folder()}"])
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == ""
    assert len(lines) == 4 and all(line.isprintable() for line in lines), lines
    assert re.fullmatch(r"eval  step 10  test/loss \d\.\d{4}  test/accuracy \d\.\d{4}  \(\d+\.\d s\)", lines[0])


def quiet_is_quiet():
    run = OnTerminal(SMALL + ["--steps=20000", "--quiet", f"--out={folder()}"])
    assert run.end() == 0 and run.text == "", run.text


def decimal_points():
    # A locale with decimal commas, made here where the system has its sources.
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(DIR / "de_DE.UTF-8")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    if not made:
        return "no localedef with the sources of de_DE"
    out = folder()
    run = OnTerminal(SMALL + ["--steps=3000", "--optimizer.lr=0.5e-3", f"--out={out}"], LC_ALL="de_DE.UTF-8",
                     LOCPATH=str(DIR))
    assert run.end() == 0
    assert re.search(r"test/loss \d\.\d{4}", run.text), run.text
    assert [json.loads(line) for line in open(DIR / out / "metrics.jsonl")]
    assert '"lr": 0.0005' in open(DIR / out / "config.json").read()
    return None


# How it ends.


def checkpoints(out):
    return sorted(path.name for path in (DIR / out).glob("checkpoint-*.safetensors"))


def interrupt_key_saves():
    out = folder()
    run = OnTerminal(ENDLESS + [f"--out={out}"])
    run.until(lambda text: len(drawn(text)) >= 2)
    os.write(run.master, b"\x03")
    assert run.end() == 130
    assert "stopping after this step; again to stop at once" in run.text
    step = re.search(rf"stopped at step (\d+) of 100000000; go on with: dlhost resume {out}\r\n", run.text)
    assert step, run.text
    assert checkpoints(out) == [f"checkpoint-{step[1]}.safetensors"]
    go_on = plain(["resume", out, f"--steps={int(step[1]) + 5}"])
    assert go_on.returncode == 0, go_on


def ends_with(number, code, **kwargs):
    out = folder()
    run = OnTerminal(ENDLESS + [f"--out={out}"], **kwargs)
    run.until(lambda text: len(drawn(text)) >= 2)
    run.process.send_signal(number)
    assert run.end() == code, run.text
    assert len(checkpoints(out)) == 1 and f"dlhost resume {out}" in run.text, run.text


def terminate_saves():
    ends_with(signal.SIGTERM, 143)


def hang_up_saves():
    ends_with(signal.SIGHUP, 129)


def second_signal_stops_at_once():
    out = folder()
    run = OnTerminal(ENDLESS + [f"--out={out}"])
    run.until(lambda text: len(drawn(text)) >= 2)
    # Both arrive before the step that is under way goes on.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        run.process.send_signal(number)
    assert run.end() in (130, 143)
    assert checkpoints(out) == [] and "go on with" not in run.text, run.text


def lost_terminal_saves():
    out = folder()
    run = OnTerminal(ENDLESS + [f"--out={out}"])
    run.until(lambda text: len(drawn(text)) >= 2)
    os.close(run.master)
    assert run.process.wait(LIMIT) == 129
    assert len(checkpoints(out)) == 1


def nohup_goes_on():
    out = folder()
    run = OnTerminal(SMALL + ["--steps=60000", f"--out={out}"], ignore=[signal.SIGHUP])
    run.until(lambda text: len(drawn(text)) >= 2)
    os.close(run.master)
    assert run.process.wait(LIMIT) == 0
    # A slow machine has saved after an epoch, too.
    assert "checkpoint-60000.safetensors" in checkpoints(out), checkpoints(out)


def closed_output():
    for closed in ((1,), (0, 1, 2)):
        out = folder()

        def close():
            for fd in closed:
                os.close(fd)

        done = subprocess.run([DLHOST, *SMALL, "--epochs=2", f"--out={out}"], cwd=DIR, env=environment(),
                              timeout=LIMIT, preexec_fn=close)
        assert done.returncode == 0
        events = [json.loads(line)["event"] for line in open(DIR / out / "metrics.jsonl")]
        assert events == ["eval", "step", "final"], events


def full_output():
    out = folder()
    with open("/dev/full", "w") as full:
        done = plain(SMALL + ["--epochs=3", f"--out={out}"], stdout=full)
    assert done.returncode == 0
    assert done.stderr == ("dlhost: standard output: No space left on device; "
                           "the run goes on without it\n"), done.stderr
    assert checkpoints(out) == ["checkpoint-30.safetensors"]


def reader_goes_away():
    out = folder()
    r, w = os.pipe()
    os.close(r)
    done = plain(SMALL + ["--epochs=3", f"--out={out}"], stdout=w)
    os.close(w)
    assert done.returncode == 0 and done.stderr.count("\n") == 1 and "Broken pipe" in done.stderr, done
    assert checkpoints(out) == ["checkpoint-30.safetensors"]


TESTS = [
    ("/terminal/bar/shows-all", bar_shows_all),
    ("/terminal/bar/no-rate-without-examples", bar_without_examples),
    ("/terminal/colour/no-color-honoured", no_colour_is_honoured),
    ("/terminal/locale/ascii-bar", ascii_locale),
    ("/terminal/locale/decimal-points", decimal_points),
    ("/terminal/width/kept", widths_are_kept),
    ("/terminal/width/resize-followed", resize_is_followed),
    ("/terminal/width/columns-fallback", columns_are_the_fallback),
    ("/terminal/dumb/plain-lines", dumb_terminals_get_lines),
    ("/terminal/pipe/plain-lines", pipes_get_lines),
    ("/terminal/quiet/prints-nothing", quiet_is_quiet),
    ("/terminal/interrupt/saves", interrupt_key_saves),
    ("/terminal/terminate/saves", terminate_saves),
    ("/terminal/hang-up/saves", hang_up_saves),
    ("/terminal/second-signal/at-once", second_signal_stops_at_once),
    ("/terminal/lost/saves", lost_terminal_saves),
    ("/terminal/lost/nohup-goes-on", nohup_goes_on),
    ("/terminal/output/closed", closed_output),
    ("/terminal/output/full", full_output),
    ("/terminal/output/reader-goes-away", reader_goes_away),
]


def no_terminal():
    """Why there are no pseudo-terminals; None where there are."""
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError as error:
        return f"no pseudo-terminal: {error}"
    return None


def main():
    missing = no_terminal()
    if missing:
        print(f"1..0 # SKIP {missing}")
        shutil.rmtree(DIR)
        return
    failed = tap.run_all(TESTS)
    shutil.rmtree(DIR, ignore_errors=True)
    sys.exit(failed > 0)


main()
