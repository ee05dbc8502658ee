"""Which names does the specification import from ComfyUI?

from comfy.tpu_xla import get_tpu_stats, tpu_manager
"""

from __future__ import annotations

import sys
import types

import comfy
import preheat.tpu

NAME = "comfy.tpu_xla"


def register() -> None:
    """Makes the module importable. ComfyUI itself has no module of that name."""
    module = types.ModuleType(NAME, preheat.tpu.__doc__)
    for name in preheat.tpu.__all__:
        setattr(module, name, getattr(preheat.tpu, name))
    module.__all__ = list(preheat.tpu.__all__)  # type: ignore[attr-defined]
    sys.modules[NAME] = module
    comfy.tpu_xla = module
