# SPDX-License-Identifier: MIT
"""What the tests of the installed files share: an installation in a temporary directory, an
environment that knows nothing of the build, and results as TAP."""
import glob
import os
import shutil
import subprocess
import tempfile


class Installation:
    """`meson install` into a directory of its own, as a packager does it, and then moved."""

    def __init__(self, build):
        self.dir = tempfile.mkdtemp(prefix="dlhost-installed-")
        os.chmod(self.dir, 0o755)
        root = os.path.join(self.dir, "root")
        done = subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet",
                               "--destdir", root], text=True, capture_output=True, check=False)
        found = glob.glob(f"{root}/**/pkgconfig/dlhost-1.0.pc", recursive=True)
        if done.returncode or not found:
            shutil.rmtree(self.dir)
            raise RuntimeError(f"meson install: {done.stdout}{done.stderr}")
        program = glob.glob(f"{root}/**/bin/dlhost", recursive=True)[0]
        configured = os.path.dirname(os.path.dirname(program))
        self.prefix = os.path.join(self.dir, "moved")
        shutil.move(configured, self.prefix)
        self.pkgconfig = glob.glob(f"{self.prefix}/**/pkgconfig", recursive=True)[0]
        self.work = os.path.join(self.dir, "work")
        os.mkdir(self.work, 0o755)
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith(("DLHOST_", "LD_", "MESON", "NINJA", "MAKE"))}
        self.env.update(PATH=f"{self.prefix}/bin:{os.environ['PATH']}", LC_ALL="C.UTF-8",
                        PKG_CONFIG_PATH=self.pkgconfig, HOME=self.work, OMP_NUM_THREADS="1",
                        XDG_DATA_HOME=os.path.join(self.work, ".local", "share"))

    def run(self, *command, cwd=None, stdin=None):
        """Returns: the exit code and all that the command says."""
        done = subprocess.run(command, cwd=cwd or self.work, env=self.env, text=True, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              errors="replace")
        return done.returncode, done.stdout

    def must(self, *command, cwd=None):
        """Returns: "" when the command ends well, else what it said."""
        code, said = self.run(*command, cwd=cwd)
        return f"{' '.join(command)}: exit code {code}\n{said}" if code else ""

    def flags(self):
        _, said = self.run("pkg-config", "--cflags", "--libs", "dlhost-1.0")
        return said.split()

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
