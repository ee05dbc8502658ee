"""Which API does the specification name, for pipelines that control their own warmup?

    from preheat.tpu import create_execution_signature, get_tpu_stats, tpu_context, tpu_manager

    tpu_manager.configure(args)  # what preheat.add_arguments parsed, or a Runtime
    key = create_execution_signature("sd15", [1, 4, 64, 64], 1, 7.5, "euler", 20, "bfloat16")
    if not tpu_manager.is_cached(key):
        ...  # warm up
    print(get_tpu_stats()["cached_signatures"])

The names mention TPUs, but everything here works on every device of XLA.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from preheat import _native
from preheat._native import Signature, create_execution_signature

__all__ = [
    "CompilationCacheKey",
    "StepBoundary",
    "TpuContext",
    "TpuManager",
    "create_execution_signature",
    "get_tpu_stats",
    "tpu_context",
    "tpu_manager",
]

#: What a program looks up in the cache: the execution signature.
CompilationCacheKey = Signature

_autocast: ContextVar[bool | None] = ContextVar("preheat_autocast", default=None)


class TpuManager:
    """The runtime of this process, and its cache."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runtime: Any = None
        self._settings: dict[str, Any] = {}

    def configure(self, given: Any = None, **settings: Any) -> None:
        """Sets which runtime is used: a `Runtime`, parsed arguments, or the settings of one.

        Without a call of this method, it is a runtime with every setting at its default.
        """
        with self._lock:
            if isinstance(given, argparse.Namespace):
                from preheat._cli import RuntimeOptions

                settings = {**RuntimeOptions(given).runtime_settings(), **settings}
                given = None
            self._runtime, self._settings = given, settings

    @property
    def runtime(self) -> Any:
        """The `Runtime`, which is made when it is first needed."""
        with self._lock:
            if self._runtime is None:
                self._runtime = _native.Runtime(**self._settings)
            return self._runtime

    def is_cached(self, key: Signature) -> bool:
        """Whether everything that was run under this signature is in the cache, for this device."""
        return bool(self.runtime.is_cached(key))

    def clear_cache(self) -> dict[str, Any]:
        """Removes every entry that no process is loading. Returns what was removed."""
        cleared: dict[str, Any] = self.runtime.cache.clear()
        return cleared

    def get_stats(self) -> dict[str, Any]:
        """The cache's statistics, summed over all processes that use it."""
        stats: dict[str, Any] = self.runtime.stats()
        return stats


class StepBoundary:
    """One step of a program's own loop, and its time.

    If `until` was called in it, the time includes the wait for the result of the step before.
    """

    def __init__(self, context: TpuContext, name: str) -> None:
        self._context, self._name = context, name
        self._began, self._result = 0.0, None

    def until(self, result: Any) -> None:
        """Says which `DeviceTensor` the step computes, so that at most two steps are queued."""
        self._result = result

    def __enter__(self) -> StepBoundary:
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._context._finished(self._name, self._began, self._result)


class TpuContext:
    """Boundaries between steps, and the dtype that models compute in."""

    def __init__(self, manager: TpuManager) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        self._steps: dict[str, list[float]] = {}
        self._queued: dict[str, Any] = {}

    def step_boundary(self, name: str = "diffusion_step") -> StepBoundary:
        """Times a step: `with tpu_context.step_boundary("diffusion_step") as step: ...`.

        If the step's result stays on the device, `step.until(result)` names it. The end of the step
        then waits for the step before, so that no more than two are queued.
        """
        return StepBoundary(self, name)

    def step_times(self, name: str = "diffusion_step") -> list[float]:
        """The seconds that each step of that name took."""
        with self._lock:
            return list(self._steps.get(name, ()))

    def _finished(self, name: str, began: float, result: Any) -> None:
        with self._lock:
            before = self._queued.pop(name, None)
            if result is not None:
                self._queued[name] = result
        if before is not None:
            before.wait()
        with self._lock:
            self._steps.setdefault(name, []).append(time.perf_counter() - began)

    @contextmanager
    def autocast_context(self, enabled: bool = True) -> Iterator[str]:
        """Sets the dtype in which pipelines that are opened inside this context compute.

        It is bfloat16 if the device computes bfloat16 natively, as without a context; with
        `enabled=False`, it is float32. The context's value is the dtype's name.
        """
        token = _autocast.set(enabled)
        try:
            yield self._manager.runtime.compute_dtype if enabled else "float32"
        finally:
            _autocast.reset(token)


tpu_manager = TpuManager()
tpu_context = TpuContext(tpu_manager)


def get_tpu_stats() -> dict[str, Any]:
    """The cache's statistics: `cached_signatures`, `hits`, `misses`, `compiles`, ..."""
    return tpu_manager.get_stats()
