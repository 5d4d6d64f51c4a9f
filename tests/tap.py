# SPDX-License-Identifier: MIT
"""Results as TAP: a line a case, lines of explanation after a failure, the plan at the end."""
import os
import sys
import tempfile


def explain(error):
    """What went wrong, and in which line of the function that was called."""
    where = error.__traceback__.tb_next
    return f"line {where.tb_lineno}: {type(error).__name__}: {error}" if where else repr(error)


class Results:
    """Cases are recorded in the order of their calls."""

    def __init__(self):
        self.n = self.failed = 0

    def case(self, name, problem):
        """@problem is empty when all is well; "SKIP reason" skips."""
        self.n += 1
        skip = problem.startswith("SKIP")
        if problem and not skip:
            self.failed += 1
        good = "ok" if skip or not problem else "not ok"
        print(f"{good} {self.n} {name}{' # ' + problem if skip else ''}", flush=True)
        if problem and not skip:
            for line in problem[:4000].splitlines()[:40]:
                print(f"# {line}", flush=True)

    def run(self, name, function):
        """Calls @function, which raises where something is wrong and may return why it was skipped."""
        try:
            why = function()
            problem = f"SKIP {why}" if why else ""
        except Exception as error:  # pylint: disable=broad-except
            problem = explain(error)
        self.case(name, problem)

    def run_apart(self, name, function):
        """The same in an empty folder of its own."""
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            self.run(name, function)
            os.chdir(here)

    def finish(self):
        print(f"1..{self.n}")
        sys.exit(self.failed > 0)


def run_all(tests):
    """Runs pairs of a name and a function; returns how many failed."""
    results = Results()
    print(f"1..{len(tests)}", flush=True)
    for name, function in tests:
        results.run(name, function)
    return results.failed
