"""By what are the entries of a function found? Its name, and what tells namesakes apart."""

from __future__ import annotations

import os
import sys
from types import CodeType
from typing import Any

from preheat._jax_code import facts_of


#: An object can give itself as what it holds.
_MOST_LAYERS = 32


def _plain(function: Any) -> Any:
    """The function within partials, methods and wrappers."""
    for _ in range(_MOST_LAYERS):
        inner = getattr(function, "func", None) or getattr(function, "__func__", None)
        if inner is None:
            break
        function = inner
    return function


def name_of(function: Any) -> str:
    plain = _plain(function)
    plain = plain if hasattr(plain, "__qualname__") else type(plain)
    return f"{plain.__module__}.{plain.__qualname__}"


def address_of(function: Any) -> str:
    """What tells functions apart in the store. It need not tell all apart."""
    plain = _plain(function)
    name = name_of(function)
    if name.startswith("__main__."):
        file = getattr(sys.modules["__main__"], "__file__", None) or ""
        name = f"{os.path.basename(file)} {name}"
    code = getattr(plain, "__code__", None)
    if "<" not in name or not isinstance(code, CodeType):
        return name
    # Functions that one function makes in a loop differ in what they hold.
    held = [facts_of(code).digest, repr(_plainly(getattr(plain, "__defaults__", None)))]
    for cell in getattr(plain, "__closure__", None) or ():
        try:
            held.append(repr(_plainly(cell.cell_contents)))
        except ValueError:
            held.append("empty")
    return " ".join((name, *held))


def _plainly(value: Any) -> Any:
    """A value if it is plain data, and else its kind."""
    if isinstance(value, tuple):
        return tuple(_plainly(item) for item in value)
    is_plain = value is None or type(value) in (bool, int, float, str, bytes)
    return value if is_plain else type(value).__name__


