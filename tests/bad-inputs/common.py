# SPDX-License-Identifier: MIT
"""What the families of bad inputs share: the row, and builders of files."""
import gzip
import json
import os
import shutil
import struct
from dataclasses import dataclass, field
from typing import Callable, Optional

SMALL = ["--model=mlp,hidden=[4]", "--dataset=synthetic,n=20,test=10", "--threads=1"]
TRAIN = [*SMALL, "--optimizer=sgd", "--steps=3", "--quiet", "--out=run"]
EVALUATE = ["--task=evaluate", *SMALL, "--quiet", "--out=score"]


@dataclass
class Row:
    """One bad input. The program runs in a fresh directory that make() has filled."""
    family: str
    input: str                 # as the documentation has it
    args: list
    code: int                  # the exit code, whatever the documentation says
    make: Optional[Callable] = None  # called with the directory
    env: dict = field(default_factory=dict)  # value None: unset
    limits: dict = field(default_factory=dict)  # of resource.setrlimit()
    stdin: Optional[str] = None   # path to open, "closed"; None: /dev/null
    stdout: Optional[str] = None  # path to open, "closed"; None: caught
    vary: tuple = ()           # regular expressions of what differs between machines
    wrap: tuple = ()           # command in front
    needs: Optional[Callable] = None  # returns a reason to skip, or None
    warns: bool = False       # goes on, but says something
    nobody: bool = False       # run without root's rights
    check: Optional[Callable] = None  # called with the directory and the output; a problem or None
    times: int = 10            # seconds it may take
    slow: bool = False         # left out with --codes


class Place:
    """Where things are that rows use."""
    program = ""
    fixtures = ""
    plugins = ""
    good_run = ""  # folder of a finished run of TRAIN
    sanitized = False  # built with a sanitizer
    patience = 3  # times the seconds that a row may take: machines are busy


def write(name, content):
    """A make() that writes one file."""
    def make(directory):
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content() if callable(content) else
                       content.encode() if isinstance(content, str) else content)
    return make


def hollow(name, head, size):
    """A make() that writes a file of this size that holds only its head, and zeros on no disk."""
    def make(directory):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(head)
            file.truncate(size)
    return make


def both(*makes):
    def make(directory):
        for one in makes:
            one(directory)
    return make


def fixture(name, change=None):
    """A fixture plugin's bytes, changed."""
    def content():
        with open(os.path.join(Place.fixtures, name), "rb") as file:
            data = bytearray(file.read())
        return bytes(change(data) or data) if change else bytes(data)
    return content


def copy_run(directory):
    shutil.copytree(Place.good_run, os.path.join(directory, "run"))


def checkpoint_bytes():
    with open(os.path.join(Place.good_run, "checkpoint-3.safetensors"), "rb") as file:
        return file.read()


def split_checkpoint(data):
    """The header as an object, and the tensors' bytes."""
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else \
        header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def changed_checkpoint(change):
    """The good checkpoint after change(header, data), which returns the data. No checksum."""
    def content():
        header, data = split_checkpoint(checkpoint_bytes())
        header["__metadata__"].pop("dlhost.crc32")
        data = change(header, bytearray(data))
        return safetensors(header, bytes(data))
    return content


def idx(kind, sizes, data):
    return bytes([0, 0, kind, len(sizes)]) + b"".join(struct.pack(">I", n) for n in sizes) + data


def gz(data):
    return gzip.compress(data, mtime=0)
