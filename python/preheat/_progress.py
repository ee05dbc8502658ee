"""What does a person see of long work? Bars of tqdm, if it is installed and there is a terminal."""

from __future__ import annotations

import sys
from typing import Any


class Bars:
    """Shows events as one bar on standard error. It is called with each event of a call."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._bar: Any = None
        self._what = ""

    def __call__(self, event: dict[str, Any]) -> None:
        name = event["event"]
        if "done" in event and "total" in event:
            self._show(event.get("stage") or event["model_id"], name, event["done"], event["total"])
        elif name == "compiling":
            expected = event["expected_seconds"]
            about = f", about {expected:.0f} s" if expected else ""
            self._say(f"{event['stage']}: compiling{about}")
        elif name == "waiting":
            self._say(f"{event['stage']}: another process compiles it")

    def _show(self, stage: str, name: str, done: int, total: int) -> None:
        what = f"{stage}: {name}"
        if what != self._what:
            self.close()
            self._bar, self._what = self._make(total=total, desc=what, leave=False), what
        self._bar.update(done - self._bar.n)

    def _say(self, words: str) -> None:
        if words != self._what:
            self.close()
            self._bar = self._make(total=1, desc=words, leave=False, bar_format="{desc} {elapsed}")
            self._what = words
        else:
            self._bar.refresh()

    def close(self) -> None:
        """Takes the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._what = None, ""


def shown() -> Bars | None:
    """The bars of a call that was given no `progress`; `None` if nobody would see them."""
    stream = sys.stderr
    if stream is None or not hasattr(stream, "isatty") or not stream.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return Bars(tqdm)
