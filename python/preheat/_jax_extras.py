"""How is code found again that ran, and that the walk over the function does not reach?

By the module that it ran in: through the functions and classes that lie in it, with what they wrap.
In a later process the same way is gone, which gives whatever lies there then.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

from preheat._jax_code import facts_of
from preheat._jax_values import imported

_DEPTH = 4


def missing(codes: Iterable[CodeType], covered: set[str]) -> list[CodeType]:
    """Code that ran, and was not reached."""
    return [code for code in codes if facts_of(code).digest not in covered]


def ways_to(
    codes: Iterable[CodeType], modules: dict[CodeType, str], known: list[list[str]]
) -> list[list[str]]:
    """Ways to some of the code: the module's name, and attributes from there."""
    found = []
    for code in codes:
        module = sys.modules.get(modules[code])
        way = _search(module, code, _DEPTH) if module is not None else None
        if way is not None:
            whole = [modules[code], *way]
            if whole not in known and whole not in found:
                found.append(whole)
    return found


def resolve(way: list[str]) -> Any:
    """What lies at the end of a way. A module that the trace would import is imported."""
    found: Any = imported(way[0])
    for name in way[1:]:
        found = vars(found).get(name) if hasattr(found, "__dict__") else None
        if isinstance(found, (staticmethod, classmethod)):
            found = found.__func__
    return found


def _search(holder: Any, code: CodeType, depth: int) -> list[str] | None:
    wanted = facts_of(code).digest
    for name, value in list(vars(holder).items()):
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if isinstance(value, FunctionType):
            facts = facts_of(value.__code__)
            if wanted == facts.digest or wanted in facts.inner:
                return [name]
        if not depth:
            continue
        is_own = isinstance(value, type) and value.__module__ == getattr(
            holder, "__module__", getattr(holder, "__name__", None)
        )
        if is_own or hasattr(value, "__wrapped__"):
            inner = _search(value, code, depth - 1) if hasattr(value, "__dict__") else None
            if inner is not None:
                # What a wrapper holds counts as well, so the way ends at it.
                return [name, *inner] if is_own else [name]
    return None
