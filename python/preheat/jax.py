"""`cached_jit`: a function of JAX that a later process neither traces nor lowers.

    from preheat.jax import cached_jit

    @cached_jit
    def step(latents, noise):
        return latents - 0.1 * noise

The first process traces, and records what the trace depended on: code, closures, globals, settings,
versions, environment variables. A second one traces as well, and confirms that the program is the
same. From the third on, the executable is loaded, and the function is traced once in the background
to see that nothing has changed that the record does not show. docs/python.md has the rules.

JAX is imported when a function is called first.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

from preheat._errors import InvalidRequest
from preheat._jax_background import BACKGROUND
from preheat._jax_report import Report, Verify

__all__ = ["CachedFunction", "Report", "cached_jit", "wait_for_verification"]

_CHOICES = ("background", "always", "off")


class CachedFunction:
    """What `cached_jit` makes. Called like the function."""

    def __init__(
        self,
        function: Callable[..., Any],
        key: str | None,
        verify: Verify,
        cache_dir: str | os.PathLike[str] | None,
        options: dict[str, Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._key = key
        self._verify = verify
        self._cache_dir = Path(cache_dir) if cache_dir is not None else None
        self._options = options
        self._lock = threading.RLock()
        self._state: Any = None
        if "jax" in sys.modules:
            self._prepared()

    def _prepared(self) -> Any:
        with self._lock:
            if self._state is None:
                from preheat._jax_entries import Entries

                self._state = Entries(
                    self._function, self._key, self._verify, self._cache_dir, self._options
                )
        return self._state

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return (self._state or self._prepared()).call(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # As with `jax.jit`, a method gets its object as the first argument.
        return self if instance is None else functools.partial(self, instance)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """As that of `jax.jit`: traces and lowers."""
        return self._prepared().jitted.lower(*args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """As that of `jax.jit`: traces."""
        return self._prepared().jitted.trace(*args, **kwargs)

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """As that of `jax.jit`."""
        return self._prepared().jitted.eval_shape(*args, **kwargs)

    @property
    def reports(self) -> list[Report]:
        """One for each kind of arguments that the function was called with, in that order."""
        return [] if self._state is None else list(self._state.reports)

    @property
    def reason(self) -> str | None:
        """Why the last kind of arguments is traced as under `jax.jit`; `None` if it is not."""
        reports = self.reports
        return reports[-1].reason if reports else None

    def __repr__(self) -> str:
        return f"<cached_jit of {self._function!r}>"

    def __preheat_parts__(self) -> tuple[Any, ...]:
        return (self._function, self._key, self._options)


@overload
def cached_jit(
    function: Callable[..., Any],
    key: str | None = None,
    *,
    verify: Verify = "background",
    cache_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> CachedFunction: ...


@overload
def cached_jit(
    function: None = None,
    key: str | None = None,
    *,
    verify: Verify = "background",
    cache_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], CachedFunction]: ...


def cached_jit(
    function: Callable[..., Any] | None = None,
    key: str | None = None,
    *,
    verify: Verify = "background",
    cache_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> CachedFunction | Callable[[Callable[..., Any]], CachedFunction]:
    """Like `jax.jit`, whose options it takes; a process that finds the entry does not trace.

    `key` answers for what cannot be proven, such as an array among the globals: give another one
    whenever that changes. `verify` says when an entry that was served is compared with a trace:
    `background` (after the first results, at low priority), `always` (before) or `off`.
    `cache_dir` is preheat's cache folder, or else `PREHEAT_CACHE_DIR`.
    """
    if function is None:
        return lambda given: cached_jit(
            given, key, verify=verify, cache_dir=cache_dir, **options
        )
    if not callable(function):
        raise InvalidRequest(f"cached_jit takes a function, and {function!r} was given")
    if verify not in _CHOICES:
        raise InvalidRequest(f"verify: give one of {', '.join(_CHOICES)}, not {verify!r}")
    if key is not None and not isinstance(key, str):
        raise InvalidRequest(f"key: give a text that changes with the program, not {key!r}")
    return CachedFunction(function, key, verify, cache_dir, options)


def wait_for_verification(timeout: float | None = None) -> bool:
    """Waits until every entry that was served has been compared. Gives whether that came."""
    return BACKGROUND.wait(timeout)

