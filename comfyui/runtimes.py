"""With which settings does a model run, and which runtime do its nodes use?

A node's own settings count first, then the flags with which ComfyUI was started (`flags.py`).
There is one runtime for each device, compile effort and caching. It is made when it is first
needed. `preheat.tpu` gets the first one, so that other code in this process uses the same cache.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import preheat
from preheat.tpu import tpu_manager

from . import flags

#: preheat's names of the dtypes, by the names that the nodes and the flags use.
PRECISIONS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
#: Devices on which torch runs ComfyUI's own model.
OF_TORCH = ("cuda", "mps", "cpu")


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

    def on(self, device: str, precision: str) -> Settings:
        """The same settings on another device, in another precision. `auto` changes nothing."""
        settings = self
        if device != "auto":
            settings = settings.with_(device=device)
        if precision != "auto":
            settings = settings.with_(precision=precision)
        return settings

    def optimised(
        self,
        autocast_dtype: str,
        compilation_cache: bool,
        shape_padding: bool,
        shape_padding_multiple: int,
        compile_effort: str,
        offload: str,
    ) -> Settings:
        """The settings of the node *TPU Model Optimization*."""
        return self.on("auto", autocast_dtype).with_(
            effort=compile_effort,
            caching=compilation_cache and default_settings().caching,
            padding_multiple_px=shape_padding_multiple if shape_padding else 8,
            offload=offload,
        )

    @property
    def is_of_torch(self) -> bool:
        """Whether torch runs a MODEL with these settings."""
        return self.device in OF_TORCH

    def dtype(self) -> str:
        """The dtype that networks compute in."""
        if self.precision != "auto":
            return PRECISIONS[self.precision]
        if not flags.given.args.tpu_autocast_bf16:
            return PRECISIONS["fp32"]
        return str(runtime(self).compute_dtype)


def default_settings(of_pipeline: bool = False) -> Settings:
    """The settings of a model that no node has changed: those of the flags.

    A pipeline gets the precisions of its single stages from the flags itself.
    """
    args = flags.given.args
    own_precision = None if of_pipeline else args.denoiser_precision
    return Settings(
        precision=own_precision or args.precision,
        effort=args.compile_effort,
        caching=args.tpu_compilation_cache,
        padding_multiple_px=args.tpu_shape_padding_multiple if args.tpu_shape_padding else 8,
    )


_lock = threading.Lock()
_made: dict[tuple[str, str, bool], preheat.Runtime] = {}


def runtime(settings: Settings | None = None) -> preheat.Runtime:
    """The runtime for some settings."""
    settings = settings or default_settings()
    key = (settings.device, settings.effort, settings.caching)
    with _lock:
        if key not in _made:
            made = preheat.Runtime(**runtime_settings(settings))
            if not _made:
                tpu_manager.configure(made)
            _made[key] = made
        return _made[key]


def runtime_settings(settings: Settings) -> dict[str, object]:
    """The keyword arguments of a runtime: those of the flags, and then those of a node."""
    chosen = {} if settings.device == "auto" else {"device": settings.device}
    return {
        **flags.given.runtime_settings(),
        "compile_effort": settings.effort,
        "use_cache": settings.caching,
        **chosen,
    }
