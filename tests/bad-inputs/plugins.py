# SPDX-License-Identifier: MIT
"""Files that are no plugin, and plugins that cannot be used."""
import os
import socket
import struct

from common import SMALL, Row, both, fixture, write

# Of an ELF header.
CLASS, DATA, TYPE, MACHINE = 4, 5, 16, 18
# Of a manifest: the words at its beginning.
SIZE, OPTION_SIZE, N_OPTIONS, ABI_MAJOR, ABI_MINOR, KIND = range(0, 24, 4)
NOTE = struct.pack("<I", 1) + b"dlhost\0"
MACHINES = (r"this machine(?: is| needs 64-bit) [\w-]+", r"32-bit \([\w -]+\)")


def patch(at, value, of_note=False):
    def change(data):
        begin = data.index(NOTE) + 16 if of_note else 0
        data[begin + at:begin + at + len(value)] = value
    return change


def word(n):
    return struct.pack("<I", n)


def inspect(text, code, make, path="./x.so", **more):
    return Row("plugins", text, ["inspect", path], code, make, **more)


def patched(text, at, value, of_note=False, **more):
    return inspect(text, 3, write("x.so", fixture("good.so", patch(at, value, of_note))), **more)


def train(text, optimizer, code, make=None, **more):
    return Row("plugins", text, [*SMALL, "--steps=1", "--quiet", "--out=run",
                                 f"--optimizer={optimizer}"], code, make, **more)


def loads(text, name, **more):
    """A fixture whose note is sound and whose code is not."""
    return train(text, "./x.so", 3, write("x.so", fixture(f"{name}.so")), **more)


def mode(name, bits):
    return lambda directory: os.chmod(os.path.join(directory, name), bits)


def good(name="x.so"):
    return write(name, fixture("good.so"))


def bind(directory):
    end = socket.socket(socket.AF_UNIX)
    end.bind(os.path.join(directory, "x.so"))
    end.close()


def thousand(directory):
    os.mkdir(os.path.join(directory, "many"))
    data = fixture("plain.so")()
    for i in range(1000):
        # The name in the note is changed too: a thousand plugins, not one a thousand times.
        name = f"p{i:04d}".encode()
        at = data.index(b"plain\0", data.index(NOTE))
        with open(os.path.join(directory, "many", name.decode() + ".so"), "wb") as file:
            file.write(data[:at] + name + data[at + len(name):])


def lists_thousand(_directory, out):
    n = sum(line.split()[:1] == [f"p{i:04d}"] for i, line in
            enumerate(line for line in out.splitlines() if line.strip().startswith("p0")))
    return None if n == 1000 else f"{n} of 1000 plugins are listed"


ROWS = [
    train("name of no plugin", "kfca", 3, vary=(r"searched .*",)),
    train("name of a plugin of another kind", "mlp", 3),
    inspect("path of no file", 3, None),
    inspect("directory", 3, lambda d: os.mkdir(os.path.join(d, "x.so"))),
    inspect("empty file", 3, write("x.so", b"")),
    inspect("text file", 3, write("x.so", "INPUT(-lm)\n")),
    inspect("picture", 3, write("x.so", b"\x89PNG\r\n\x1a\n\0\0")),
    inspect("static archive", 3, write("x.so", b"!<arch>\nx.o/")),
    inspect("ELF file cut within its header", 3, write("x.so", b"\x7fELF\2\1\1")),
    inspect("ELF file cut in the middle", 3,
            write("x.so", fixture("good.so", lambda data: data[:len(data) // 2])), vary=(r"\d+",)),
    patched("32-bit ELF file", CLASS, b"\1", vary=MACHINES),
    patched("big-endian ELF file", DATA, b"\2", vary=MACHINES),
    patched("ELF file for RISC-V", MACHINE, b"\xf3\0", vary=MACHINES),
    patched("program in place of a shared object (ET_EXEC)", TYPE, b"\2\0"),
    inspect("program in place of a shared object (PIE)", 3,
            write("x.so", fixture("fixture-program"))),
    patched("object file", TYPE, b"\1\0"),
    patched("core file", TYPE, b"\4\0"),
    inspect("shared object without a note", 3, write("x.so", fixture("libfixture-helper.so"))),
    inspect("FIFO", 3, lambda d: os.mkfifo(os.path.join(d, "x.so"))),
    inspect("socket", 3, bind),
    inspect("device", 3, None, "/dev/zero"),
    inspect("file without read permission", 3, both(good(), mode("x.so", 0)), nobody=True),
    inspect("file that everyone may write", 3, both(good(), mode("x.so", 0o666))),
    inspect("directory that everyone may write", 3, both(good("open/x.so"), mode("open", 0o777)),
            "open/x.so"),
    inspect("link to a file in a directory that everyone may write", 3,
            both(good("open/x.so"), mode("open", 0o777),
                 lambda d: os.symlink("open/x.so", os.path.join(d, "x.so")))),
    inspect("circle of links", 3, lambda d: os.symlink("x.so", os.path.join(d, "x.so"))),
    inspect("link to nothing", 3, lambda d: os.symlink("gone", os.path.join(d, "x.so"))),
    inspect("path with ../ to nothing", 3, None, "../../x/y.so"),
    inspect("name with a line break", 3, None, "kf\nac", vary=(r"searched .*",)),
    inspect("name of 4096 bytes", 3, None, "a" * 4096, vary=(r"searched .*",)),
    inspect("path of 5000 bytes", 3, None, "./" + "a" * 5000, vary=("aaa+",)),
    inspect("name that is not UTF-8", 3, None, os.fsdecode(b"\xff\xfe"), vary=(r"searched .*",)),
    inspect("empty name", 3, None, "", vary=(r"searched .*",)),
    inspect("file of the working directory by its name only", 3, good("zzz.so"), "zzz.so",
            vary=(r"searched .*?;",)),
    patched("plugin of an older interface", ABI_MAJOR, word(0), True),
    patched("plugin of a later interface", ABI_MAJOR, word(9), True),
    patched("manifest of 8 bytes", SIZE, word(8), True),
    patched("manifest of 4 GB", SIZE, word(0xffffffff), True),
    patched("option records of 0 bytes", OPTION_SIZE, word(0), True),
    patched("four thousand million options", N_OPTIONS, word(0xffffffff), True),
    patched("kind that is unknown", KIND, word(99), True),
    Row("plugins", "two plugins of one name on the path", ["list", "optimizer"], 0,
        both(good("a/good.so"), good("b/good.so")), env={"DLHOST_PLUGIN_PATH": "a:b"}, warns=True),
    Row("plugins", "one file by two paths", ["list", "optimizer"], 0,
        both(good("a/good.so"), lambda d: os.symlink("a", os.path.join(d, "b"))),
        env={"DLHOST_PLUGIN_PATH": "a:b"}, warns=True),
    Row("plugins", "a thousand plugins in a directory", ["list"], 0, thousand,
        env={"DLHOST_PLUGIN_PATH": "many"}, check=lists_thousand),
    loads("no symbol dlhost_plugin", "no_symbol"),
    loads("symbol that is not what the note says", "liar"),
    loads("struct DlhPlugin of an impossible size", "no_size"),
    loads("no interface", "no_interface"),
    loads("interface of size 0", "no_interface_size"),
    loads("interface whose function is NULL", "null_function"),
    loads("unresolved symbol", "unresolved"),
    loads("library that is missing", "needs_library"),
    loads("constructor that crashes", "crashes", vary=(r"signal \d+ \([^)]*\)",)),
    loads("constructor that exits", "exits"),
    loads("constructor that never comes back", "hangs", slow=True, times=60),
    loads("function that fails without an error", "silent"),
]
