# SPDX-License-Identifier: Apache-2.0
"""The float tensors of an ONNX file, without the onnx package: as much of protobuf's wire format and of onnx.proto as that takes.

Nothing in the file is run, every length is checked against what is there, and only float32 tensors stored inside the file are taken.
"""
import numpy as np

from torch_pickle import WeightError

GRAPH = 7                                        # of ModelProto
NODE, INITIALIZER = 1, 5                         # of GraphProto
INPUT, OUTPUT = 1, 2                             # of NodeProto
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9     # of TensorProto
FLOAT = 1                                        # of TensorProto.DataType


def varint(data, at):
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WeightError("ONNX: cut off inside a number. Fetch the file again")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise WeightError("ONNX: expected a number of at most 10 bytes, found a longer one. Is it an ONNX file?")


def fields(data):
    """(number, value) of each field: an integer, or the bytes of what is longer."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind, length = key & 7, {1: 8, 5: 4}.get(key & 7)
        if kind in (0, 2):
            value, at = varint(data, at)
            if kind == 0:
                yield key >> 3, value
                continue
            length = value
        if length is None or length > len(data) - at:
            raise WeightError("ONNX: cut off, or not protobuf. Fetch the file again")
        yield key >> 3, data[at:at + length]
        at += length


def words(value):
    """A repeated integer, packed or alone."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found


def text(value):
    if isinstance(value, int):
        raise WeightError("ONNX: expected a name, found a number. Is it an ONNX file?")
    return bytes(value).decode("utf-8", "replace")


def tensor(data):
    """Name and array; the array is None for what is not a float32 tensor with its values in the file."""
    shape, kind, name, raw = [], 0, "", None
    for number, value in fields(data):
        if number == DIMS:
            shape += words(value)
        elif number == DATA_TYPE:
            kind = value
        elif number == NAME:
            name = text(value)
        elif number == RAW_DATA:
            raw = value
    if kind != FLOAT or raw is None or isinstance(raw, int):
        return name, None
    count = 1
    for side in shape:
        count *= side
        if count > len(raw):
            break
    if 4 * count != len(raw):
        raise WeightError(f"ONNX: tensor '{name}': expected {count} values, found {len(raw)} bytes. Fetch the file again")
    return name, np.frombuffer(raw, "<f4").reshape(shape)


def load(raw):
    """{name: array}. A constant that the export folded has no name of its own ("onnx::MatMul_7"): it gets that of the output it helps to make."""
    graphs = [value for number, value in fields(memoryview(raw)) if number == GRAPH and not isinstance(value, int)]
    if not graphs:
        raise WeightError("ONNX: expected a graph, found none. Is it an ONNX file?")
    found, used = {}, {}
    for number, value in fields(graphs[0]):
        if isinstance(value, int):
            continue
        if number == INITIALIZER:
            name, array = tensor(value)
            if array is not None:
                found[name] = array
        elif number == NODE:
            inputs, output = [], ""
            for part, name in fields(value):
                if part == INPUT:
                    inputs.append(text(name))
                elif part == OUTPUT and not output:
                    output = text(name)
            used |= {name: output for name in inputs if name.startswith("onnx::")}
    return {used.get(name, name): array for name, array in found.items()}
