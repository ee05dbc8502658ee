"""How does a person see long work in ComfyUI, and stop it?

About twenty times a second, preheat calls a function that says whether to stop. This function looks
for ComfyUI's Interrupt, and moves the bar while a compile runs. A compile reports no progress, so
the bar follows the time that earlier compiles of this kind took.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import comfy.model_management
import comfy.utils
import preheat

T = TypeVar("T")

#: The bar's length. Compiles are shown in thousandths of the expected time.
_TOTAL = 1000
#: The bar of a compile does not go beyond this, even if the compile takes longer than expected.
_MOST = 950
#: The pace of the bar if no such compile was measured: it is halfway after this many seconds.
_UNKNOWN_SECONDS = 60.0


def is_interrupted() -> bool:
    """Whether somebody pressed Interrupt."""
    return bool(comfy.model_management.processing_interrupted())


class Watch:
    """The bar and the interrupt of one call."""

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self.cancel = preheat.Cancel(when=self._poll)
        self.expected_seconds: float | None = None
        self.compile_seconds = 0.0
        self._say = say
        self._bar: Any = None
        self._compiling_since: float | None = None

    def event(self, event: dict[str, Any]) -> None:
        """Shows an event of preheat in the bar."""
        name = event["event"]
        if name in ("compiling", "waiting"):
            if self._compiling_since is None:
                self._compiling_since = time.monotonic()
            self.expected_seconds = event.get("expected_seconds") or self.expected_seconds
            if self._say and name == "compiling":
                about = f", about {self.expected_seconds:.0f} s" if self.expected_seconds else ""
                self._say(f"compiling{about}")
        elif name == "compiled":
            self.compile_seconds += event["seconds"]
            self._compiling_since = None
            self._show(_TOTAL, _TOTAL)
        elif "done" in event and "total" in event:
            self._show(event["done"], event["total"])

    def _poll(self) -> bool:
        if is_interrupted():
            return True
        if self._compiling_since is not None:
            passed = time.monotonic() - self._compiling_since
            if self.expected_seconds:
                part = passed / self.expected_seconds
            else:
                part = passed / (passed + _UNKNOWN_SECONDS)
            self._show(min(int(part * _TOTAL), _MOST), _TOTAL)
        return False

    def _show(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = comfy.utils.ProgressBar(total)
        self._bar.update_absolute(done, total)


def interruptible(work: Callable[[Watch], T], say: Callable[[str], None] | None = None) -> T:
    """Does `work`, and raises what ComfyUI expects if it was interrupted."""
    try:
        return work(Watch(say))
    except preheat.Interrupted:
        # This raises, and sets the flag back so that the next prompt runs.
        comfy.model_management.throw_exception_if_processing_interrupted()
        raise comfy.model_management.InterruptProcessingException() from None
