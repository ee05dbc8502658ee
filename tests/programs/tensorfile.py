"""Reads and writes safetensors files with numpy, including bfloat16 and zero-size tensors.

The format is eight bytes with the header's length, a JSON header, and the data. Names are written
in the given order. Complex numbers become pairs (real, imaginary) along an additional last
dimension, because older readers of the format do not support complex dtypes.
"""
import json
import struct

import ml_dtypes
import numpy as np

NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}
DTYPES = {name: np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype) for dtype, name in NAMES.items()}


def plain(array):
    """The array as the file stores it: contiguous, complex numbers as pairs."""
    array = np.asarray(array)
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], -1)
    return np.array(array, order="C")


def write(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        array = plain(array)
        header[name] = {
            "dtype": NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read(path):
    with open(path, "rb") as file:
        blob = file.read()
    length = struct.unpack_from("<Q", blob)[0]
    start, tensors = 8 + length, {}
    for name, entry in json.loads(blob[8:start]).items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(blob[start + begin:start + end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors
