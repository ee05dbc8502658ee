"""What became of a call, and how is a person told?"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Literal

from preheat._errors import PreheatWarning

Verify = Literal["background", "always", "off"]
Source = Literal["untraced", "confirmed", "recorded", "traced"]
_LOGGER = logging.getLogger("preheat.jax")
_TOLD: set[str] = set()


@dataclass
class Report:
    """What became of one kind of arguments of a function."""

    #: `untraced`: loaded, without a trace. `confirmed`: traced, and equal to what another process
    #: recorded. `recorded`: traced, and the first. `traced`: as under `jax.jit`, nothing is kept.
    source: Source
    #: Why nothing is kept, or why a kept entry was not served.
    reason: str | None = None
    #: Whether the trace afterwards gave the same program; `None` until then, and without one.
    verified: bool | None = None


def tell(text: str) -> None:
    """Logs something once per process."""
    if text not in _TOLD:
        _TOLD.add(text)
        _LOGGER.warning("%s", text)


def warn(text: str) -> None:
    """Warns of something that a person has to know."""
    warnings.warn(text, PreheatWarning, stacklevel=2)
