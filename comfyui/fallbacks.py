"""Which calls of the network can preheat not serve? torch computes those calls.

A call with a patch, or with an option that this module does not know, is not served, because a slow
picture is better than a wrong one. The calls are counted by reason, and each reason is logged once
for each model.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

log = logging.getLogger("preheat")

#: Options that only describe the call. Others could change what the network computes.
_DESCRIBING = {
    "activations_shape", "block", "block_index", "callbacks", "cond_or_uncond", "original_shape",
    "prefetch_dynamic_vbars", "sample_sigmas", "sigmas", "transformer_index", "uuids", "wrappers",
}  # fmt: skip


class Calls:
    """How many calls of networks were served, and how many not, and why."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served = 0
        self._reasons: Counter[str] = Counter()

    def served(self) -> None:
        """Counts a call that ran on preheat."""
        with self._lock:
            self._served += 1

    def fell_back(self, reason: str) -> None:
        """Counts a call that torch computed."""
        with self._lock:
            self._reasons[reason] += 1

    def report(self) -> dict[str, Any]:
        """The counts as the API shows them."""
        with self._lock:
            return {
                "calls_served": self._served,
                "calls_on_torch": sum(self._reasons.values()),
                "reasons": dict(self._reasons),
            }


#: The calls of this process.
calls = Calls()


def reason_in_patcher(patcher: Any) -> str | None:
    """The reason why preheat cannot serve the patcher that samples; `None` if it can."""
    if patcher.current_hooks is not None:
        return "hooks, which change weights between steps"
    if patcher.injections:
        return "injected modules"
    if patcher.weight_wrapper_patches:
        return "functions around weights"
    for name in patcher.object_patches:
        if name.startswith("diffusion_model"):
            return f"a replaced part of the network ({name})"
    return None


def reason_in_call(
    executor: Any,
    x: torch.Tensor,
    timesteps: torch.Tensor,
    context: torch.Tensor | None,
    control: Any,
    options: Mapping[str, Any],
    others: Mapping[str, Any],
) -> str | None:
    """The reason why preheat cannot serve a call; `None` if it can."""
    if control is not None:
        return "a ControlNet"
    for kind in ("patches", "patches_replace"):
        names = sorted(name for name, patches in (options.get(kind) or {}).items() if patches)
        if names:
            return f"patches of the network ({', '.join(names)})"
    unknown = sorted(set(options) - _DESCRIBING - {"patches", "patches_replace"})
    if unknown:
        return f"options of another node ({', '.join(unknown)})"
    given = sorted(name for name, value in others.items() if value is not None)
    if given:
        return f"other inputs of the network ({', '.join(given)})"
    if executor.wrappers[executor.idx + 1 :]:
        return "another node's wrapper around the network"
    if context is None or context.ndim != 3 or x.ndim != 4 or len(context) != len(x):
        return "inputs of another shape than those of Stable Diffusion"
    if not bool((timesteps == timesteps.flatten()[0]).all()):
        return "several timesteps in one call"
    return None
