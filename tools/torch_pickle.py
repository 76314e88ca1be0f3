# SPDX-License-Identifier: Apache-2.0
"""Reads weight pickles (torch `.pth`, zip or legacy; pickled numpy trees) without torch and without running what is in them.

A pickle is a program that may call anything importable. Here only the few names a state dict needs are known, and each is our own
harmless stand-in; every other name stops the reading.
"""
import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np

STORAGE_DTYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "|b1",
}
NUMPY_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class WeightError(Exception):
    """One line: what, where, what to do."""


class StorageType:
    def __init__(self, name):
        self.dtype = np.dtype(STORAGE_DTYPES[name])


class Storage:
    """The bytes come after the pickle in the legacy format, so they are filled in late."""

    def __init__(self, dtype, count):
        self.dtype, self.count, self.values = dtype, count, None

    def fill(self, raw):
        if len(raw) != self.count * self.dtype.itemsize:
            raise WeightError(f"storage: expected {self.count * self.dtype.itemsize} bytes, found {len(raw)}. The file is cut short")
        self.values = np.frombuffer(raw, dtype=self.dtype)


class LazyTensor:
    def __init__(self, storage, offset, size, stride, *_):
        if not isinstance(storage, Storage) or len(size) != len(stride) or min([offset, *size, *stride], default=0) < 0:
            raise WeightError("tensor: a malformed storage, size or stride")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def array(self):
        values, item = self.storage.values, self.storage.dtype.itemsize
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride)) if 0 not in self.size else self.offset - 1
        if values is None or last >= len(values):
            raise WeightError(f"tensor: ends at element {last}, past its storage of {0 if values is None else len(values)}")
        view = np.lib.stride_tricks.as_strided(values[self.offset:], self.size, [s * item for s in self.stride])
        return np.ascontiguousarray(view).reshape(self.size)  # ascontiguousarray turns a scalar into one element


class NumpyDtype:
    def __init__(self, code, *_):
        if code not in NUMPY_DTYPES:
            raise WeightError(f"numpy dtype: expected a plain number type, found {code!r}")
        self.code, self.order = code, "<"

    def __setstate__(self, state):
        self.order = state[1] if state[1] in ("<", ">", "|") else "<"

    def dtype(self):
        return np.dtype(self.order + self.code)


class NumpyArray:
    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, NumpyDtype) or not isinstance(raw, bytes):
            raise WeightError("numpy array: expected a plain array of numbers, found something else")
        self.values = np.frombuffer(raw, dtype.dtype()).reshape(shape, order="F" if fortran else "C")

    def array(self):
        return np.ascontiguousarray(self.values)


def known_names():
    names = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): LazyTensor,
        ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
        ("numpy", "dtype"): NumpyDtype,
        ("numpy", "ndarray"): NumpyArray,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[(module, "_reconstruct")] = lambda *_: NumpyArray()
    for name in STORAGE_DTYPES:
        names[("torch", name)] = StorageType(name)
    return names


class RestrictedUnpickler(pickle.Unpickler):
    NAMES = known_names()

    def __init__(self, stream, storages=None):
        super().__init__(stream, encoding="latin1")
        self.storages = {} if storages is None else storages

    def find_class(self, module, name):
        try:
            return self.NAMES[(module, name)]
        except KeyError:
            raise WeightError(f"pickle: expected only tensors, found a call of {module}.{name}. Do not use this file") from None

    def persistent_load(self, pid):
        kind, storage_type, key, _, count, *view = pid
        if kind != "storage" or not isinstance(storage_type, StorageType) or (view and view[0] is not None):
            raise WeightError("pickle: expected a plain storage, found another persistent id")
        if key not in self.storages:
            self.storages[key] = Storage(storage_type.dtype, count)
        return self.storages[key]


def arrays(tree):
    """Stand-ins to numpy arrays, through dicts and lists."""
    if isinstance(tree, (LazyTensor, NumpyArray)):
        return tree.array()
    if isinstance(tree, dict):
        return {key: arrays(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [arrays(value) for value in tree]
    return tree


def read_zip(stream):
    with zipfile.ZipFile(stream) as archive:
        records = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if len(records) != 1:
            raise WeightError(f"torch zip: expected one data.pkl, found {len(records)}")
        root = records[0][: -len("data.pkl")]
        if root + "byteorder" in archive.namelist() and archive.read(root + "byteorder") != b"little":
            raise WeightError("torch zip: expected little endian, found another byte order")
        reader = RestrictedUnpickler(io.BytesIO(archive.read(records[0])))
        tree = reader.load()
        for key, storage in reader.storages.items():
            storage.fill(archive.read(f"{root}data/{key}"))
        return arrays(tree)


def read_legacy(stream):
    """Magic, protocol, system facts, tree, list of storage keys: five pickles; then per key a 64-bit count and the values."""
    protocol, facts = RestrictedUnpickler(stream).load(), RestrictedUnpickler(stream).load()
    if protocol != 1001 or not facts["little_endian"]:
        raise WeightError("torch legacy file: expected protocol 1001, little endian, found another")
    reader = RestrictedUnpickler(stream)
    tree = reader.load()
    for key in RestrictedUnpickler(stream).load():
        storage = reader.storages[key]
        count = int.from_bytes(stream.read(8), "little")
        if count != storage.count:
            raise WeightError(f"torch legacy file: storage {key} holds {count} values, expected {storage.count}")
        storage.fill(stream.read(count * storage.dtype.itemsize))
    return arrays(tree)


def load(raw):
    """Bytes of a weight pickle to a tree of dicts with numpy arrays as leaves."""
    try:
        if raw[:4] == b"PK\x03\x04":
            return read_zip(io.BytesIO(raw))
        stream = io.BytesIO(raw)
        first = RestrictedUnpickler(stream).load()
        return read_legacy(stream) if first == LEGACY_MAGIC else arrays(first)
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, zipfile.BadZipFile) as error:
        raise WeightError(f"weight file: not a readable torch or numpy pickle ({type(error).__name__}: {error})") from error
