"""Which runtime does a node use? The one for its device, its compile effort and its caching.

A runtime is made when it is first needed. `preheat.tpu` gets the first one, so that other code in
this process uses the same cache.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import preheat
from preheat.tpu import tpu_manager

#: preheat's names of the dtypes, by the names that the nodes use.
PRECISIONS = {"bf16": "bfloat16", "fp32": "float32"}


@dataclass(frozen=True)
class Settings:
    """The settings with which a model runs on preheat."""

    device: str = "auto"
    #: `auto` is bfloat16 if the device computes it natively, and float32 otherwise.
    precision: str = "auto"
    effort: str = "full"
    caching: bool = True
    padding_multiple_px: int = 64
    offload: str = "auto"

    def with_(self, **changes: object) -> Settings:
        """The same settings, some of them changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def dtype(self) -> str:
        """The dtype that networks compute in."""
        if self.precision == "auto":
            return str(runtime(self).compute_dtype)
        return PRECISIONS[self.precision]


_lock = threading.Lock()
_made: dict[tuple[str, str, bool], preheat.Runtime] = {}


def runtime(settings: Settings | None = None) -> preheat.Runtime:
    """The runtime for some settings."""
    settings = settings or Settings()
    key = (settings.device, settings.effort, settings.caching)
    with _lock:
        if key not in _made:
            device = None if settings.device == "auto" else settings.device
            made = preheat.Runtime(
                device, compile_effort=settings.effort, use_cache=settings.caching
            )
            if not _made:
                tpu_manager.configure(made)
            _made[key] = made
        return _made[key]
