# SPDX-License-Identifier: MIT
"""Writes a decoder that was not made by dlhost: weights in safetensors, what a forward pass in plain
NumPy makes of some codes, and the map of names. tests/test-decoder.c compares; the files are kept in
tests/interop so that the test needs no NumPy.

usage: write-decoder.py DIRECTORY"""
import json
import struct
import sys

import numpy as np


def write_safetensors(path, tensors):
    """The format from its page: the header's size, a JSON header, then the data."""
    types = {"float32": "F32", "float64": "F64"}
    header, data = {}, b""
    for name, value in tensors.items():
        raw = np.ascontiguousarray(value).tobytes()
        header[name] = {"dtype": types[str(value.dtype)], "shape": list(value.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)


def decode(net, z):
    """g(z): relu, relu, sigmoid, in double from weights in single precision."""
    h = np.maximum(z @ net["net.0.weight"].T.astype("f8") + net["net.0.bias"], 0)
    h = np.maximum(h @ net["hidden/kernel"].astype("f8"), 0)
    return 1 / (1 + np.exp(-(h @ net["net.4.weight"].T.astype("f8") + net["net.4.bias"])))


def main(folder):
    rng = np.random.default_rng(1611)
    net = {
        "net.0.weight": rng.normal(0, 1, (5, 2)).astype("f4"),    # as PyTorch: (outputs, inputs)
        "net.0.bias": rng.normal(0, 1, 5).astype("f4"),
        "hidden/kernel": rng.normal(0, 1, (5, 3)).astype("f4"),   # as Keras: (inputs, outputs)
        "net.4.weight": rng.normal(0, 1, (4, 3)).astype("f4"),
        "net.4.bias": rng.normal(0, 1, 4).astype("f4"),
    }
    z = rng.normal(0, 1, (6, 2))
    write_safetensors(folder + "/decoder.safetensors",
                      {**net, "expected.z": z, "expected.g": decode(net, z)})
    names = {
        "decoder/layer1/weight": {"tensor": "net.0.weight"},
        "decoder/layer1/bias": "net.0.bias",
        "decoder/layer2/weight": {"tensor": "hidden/kernel", "transpose": True},
        "decoder/output/weight": "net.4.weight",
        "decoder/output/bias": {"tensor": "net.4.bias", "transpose": False},
    }
    with open(folder + "/decoder.json", "w") as out:
        json.dump(names, out, indent=2)
        out.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
