# SPDX-License-Identifier: MIT
"""NumPy's own DLPack (2.1 or newer) against the library's, through ctypes; no part of the test suite.
Prints one line a check.

usage: check-dlpack.py BUILD_DIRECTORY

    python3 -m venv check && check/bin/pip install numpy
    check/bin/python tools/interop/check-dlpack.py build
"""
import ctypes
import gc
import os
import sys
import tempfile

import numpy as np

LIBRARY = os.path.join(os.path.abspath(sys.argv[1]), "core", "libdlhost.so")
NAME, USED = b"dltensor_versioned", b"used_dltensor_versioned"
failures = 0

dlhost = ctypes.CDLL(LIBRARY)
pointer = ctypes.c_void_p
for function, result, arguments in (
        (dlhost.dlh_npy_read, pointer, [ctypes.c_char_p, pointer]),
        (dlhost.dlh_npy_write, ctypes.c_int, [ctypes.c_char_p, pointer, pointer]),
        (dlhost.dlh_tensor_get_data, pointer, [pointer]),
        (dlhost.dlh_tensor_unref, None, [pointer]),
        (dlhost.dlh_tensor_to_dlpack, pointer, [pointer, ctypes.c_uint, pointer]),
        (dlhost.dlh_tensor_from_dlpack, pointer, [pointer, pointer])):
    function.restype, function.argtypes = result, arguments

capsule_new = ctypes.pythonapi.PyCapsule_New
capsule_new.restype, capsule_new.argtypes = ctypes.py_object, [pointer, ctypes.c_char_p, pointer]
capsule_get = ctypes.pythonapi.PyCapsule_GetPointer
capsule_get.restype, capsule_get.argtypes = pointer, [ctypes.py_object, ctypes.c_char_p]
capsule_rename = ctypes.pythonapi.PyCapsule_SetName
capsule_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]


class GErrorStruct(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]


class Exporter:
    """What from_dlpack() asks: hands over the library's struct, once."""

    def __init__(self, tensor, flags=0):
        self.managed = dlhost.dlh_tensor_to_dlpack(tensor, flags, None)

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **_):
        return capsule_new(self.managed, NAME, None)


def report(name, problem, detail=""):
    global failures
    failures += bool(problem)
    print(f"{'FAILED' if problem else 'ok    '} {name}: {problem or detail}")


def take(array):
    """The array as a tensor of the library, or its message."""
    capsule = array.__dlpack__(max_version=(1, 0))
    managed = capsule_get(capsule, NAME)
    capsule_rename(capsule, USED)
    error = ctypes.POINTER(GErrorStruct)()
    tensor = dlhost.dlh_tensor_from_dlpack(managed, ctypes.byref(error))
    return tensor, None if tensor else error.contents.message.decode()


def check_export(folder):
    path = os.path.join(folder, "a.npy")
    for kind in ("f4", "f8", "i4", "i8", "b1"):
        for shape in ((), (0, 3), (5,), (2, 3, 4)):
            want = (np.arange(np.prod(shape, dtype=int)) % 2).astype(kind).reshape(shape)
            np.save(path, want)
            tensor = dlhost.dlh_npy_read(path.encode(), None)
            data = dlhost.dlh_tensor_get_data(tensor)
            got = np.from_dlpack(Exporter(tensor))
            dlhost.dlh_tensor_unref(tensor)
            same = got.dtype == want.dtype and got.shape == want.shape and (got == want).all()
            shared = got.size == 0 or got.ctypes.data == data
            report(f"{kind} {shape} to NumPy", "" if same and shared else f"{got!r}, shared: {shared}",
                   "same memory")
            del got
    np.save(path, np.ones(3, "f4"))
    tensor = dlhost.dlh_npy_read(path.encode(), None)
    report("read-only to NumPy", "it may be written"
           if np.from_dlpack(Exporter(tensor, 1)).flags.writeable else "", "not writeable")
    dlhost.dlh_tensor_unref(tensor)


def check_import(folder):
    path = os.path.join(folder, "b.npy")
    base = np.arange(24).reshape(2, 3, 4)
    for name, array, as_kind, shared in (
            ("f4", base.astype("f4"), "f4", True),
            ("f8 slice at an offset", base.astype("f8")[1], "f8", True),
            ("i8 transposed", base.astype("i8").T, "i8", False),
            ("i4 backwards", base.astype("i4")[:, ::-1], "i4", False),
            ("i4 broadcast", np.broadcast_to(np.int32(7), (3, 2)), "i4", False),
            ("f2", base.astype("f2"), "f4", False), ("u1", base.astype("u1"), "i4", False),
            ("bool", base % 2 == 1, "b1", True), ("scalar", np.array(2.5), "f8", True),
            ("no elements", np.zeros((3, 0), "f4"), "f4", False)):
        before = sys.getrefcount(array)
        tensor, message = take(array)
        if message:
            report(f"{name} from NumPy", message)
            continue
        dlhost.dlh_npy_write(path.encode(), tensor, None)
        got = np.load(path)
        problem = ("" if got.dtype == as_kind and got.shape == array.shape and
                   (got == array.astype(as_kind)).all() else repr(got))
        if (dlhost.dlh_tensor_get_data(tensor) == array.ctypes.data) != shared:
            problem = problem or "copied" if shared else "shared"
        dlhost.dlh_tensor_unref(tensor)
        gc.collect()
        if sys.getrefcount(array) != before:
            problem = problem or "the array is still held"
        report(f"{name} from NumPy", problem, "same memory" if shared else f"copied as {as_kind}")
    array = base.astype("c8")
    before = sys.getrefcount(array)
    tensor, message = take(array)
    report("c8 from NumPy", "taken" if tensor else "" if sys.getrefcount(array) == before else "held",
           f"refused: {message}")


def main():
    print(f"numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        check_export(folder)
        check_import(folder)
    print("all agree" if failures == 0 else f"{failures} failed")
    return failures != 0


sys.exit(main())
