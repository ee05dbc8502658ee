"""How do numpy and `memoryview` read a tensor without a copy?"""

from __future__ import annotations

import ctypes
from typing import Any

# The dtypes that the `struct` module has, by their letters.
_LETTERS = {
    "bool": "?", "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint8": "B",
    "uint16": "H", "uint32": "I", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip


class _Interface:
    """What numpy needs: the address of the elements, and an object that keeps them alive."""

    def __init__(self, tensor: Any) -> None:
        self.__array_interface__ = tensor.__array_interface__
        self._tensor = tensor


def interface(tensor: Any) -> Any:
    """An object from which numpy makes an array, and which keeps the tensor alive."""
    return _Interface(tensor)


def with_ml_dtypes(tensor: Any, name: str) -> Any:
    """The array of a dtype that only ml_dtypes has."""
    import numpy

    try:
        import ml_dtypes
    except ImportError:
        raise TypeError(
            f"install ml_dtypes (`pip install ml_dtypes`), which has {name} for numpy; "
            "torch.from_dlpack(tensor) needs no package"
        ) from None
    # Names of 8-bit floats have an underscore there: float8_e4m3fn.
    dtype = getattr(ml_dtypes, name, None) or getattr(ml_dtypes, name.replace("float8", "float8_"))
    memory_of_bytes = numpy.frombuffer(_bytes(tensor), dtype=numpy.uint8)
    return memory_of_bytes.view(dtype).reshape(tensor.shape)


def _bytes(tensor: Any) -> Any:
    array: Any = (ctypes.c_char * tensor.nbytes).from_address(tensor.address)
    # The memory belongs to the tensor, so the array has to keep the tensor alive.
    array._tensor = tensor
    return memoryview(array).cast("B")


def memory(tensor: Any) -> Any:
    """The tensor's memory. It has the tensor's shape if the `struct` module has its dtype."""
    letter = _LETTERS.get(tensor.dtype)
    shape = tuple(tensor.shape)
    flat = _bytes(tensor)
    if letter is None or 0 in shape:
        return flat
    return flat.cast(letter, shape) if shape else flat.cast(letter)
