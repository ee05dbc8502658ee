"""Which errors does preheat raise? Each says first what to do, or what failed and why."""

from __future__ import annotations

from typing import Any


class PreheatError(Exception):
    """Any error of preheat's. All others are subclasses."""


class InvalidRequest(PreheatError, ValueError):
    """An argument is not valid. Its name or its position is in the text."""


class NotWarm(PreheatError):
    """Something would have to be compiled, and `require_warm` forbids that."""

    #: One dictionary for each stage that is cold, with the nearest entry of the cache.
    stages: list[dict[str, Any]]

    def __init__(self, message: str, stages: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.stages = stages or []


class Interrupted(PreheatError):
    """A `Cancel` stopped the work. Ctrl-C raises `KeyboardInterrupt` instead."""


class DeviceError(PreheatError):
    """No device can be used, or the one that was asked for cannot."""


class CompileError(PreheatError):
    """The compiler refused a program."""


class OutOfMemory(PreheatError, MemoryError):
    """The device has too little memory, although everything that is not in use was dropped."""


class ModelError(PreheatError):
    """A model folder cannot be run, or a file of it cannot be read."""


class CacheError(PreheatError):
    """An operation on the cache itself failed.

    A run does not raise it: if the cache fails during a run, preheat compiles and warns.
    """


class PreheatWarning(UserWarning):
    """Something that went wrong without being an error."""
