"""What of a call's arguments does a trace see? Shapes, kinds, places, trees and static values."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from preheat._jax_code import hash_of
from preheat._jax_values import Walk


@dataclass
class Call:
    """The arguments of one call, as far as a trace sees them."""

    #: Without the static ones: what the executable takes.
    dynamic_args: tuple[Any, ...]
    dynamic_kwargs: dict[str, Any]
    static: tuple[Any, ...]
    tree: Any
    avals: tuple[Any, ...]
    #: The sharding of each array that was put somewhere; `None` for the others.
    shardings: tuple[Any, ...]

    def memory_key(self) -> Any:
        """What tells kinds of arguments apart. Its hash fails as that of a static argument."""
        from jax._src import config

        kinds = tuple(type(value) for value in self.static)
        return (self.tree, self.avals, self.shardings, self.static, kinds, config.trace_context())

    def without_values(self) -> Call:
        return replace(self, dynamic_args=(), dynamic_kwargs={})

    def abstract(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments without values, which give the same trace and hold no memory."""
        import jax

        leaves = [
            jax.ShapeDtypeStruct(aval.shape, aval.dtype, sharding=sharding,
                                 weak_type=getattr(aval, "weak_type", False))
            for aval, sharding in zip(self.avals, self.shardings, strict=True)
        ]  # fmt: skip
        args, kwargs = jax.tree_util.tree_unflatten(self.tree, leaves)
        return args, kwargs


class Slot:
    """What is called for one kind of arguments."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_open = False
        #: Whether the thread that has the lock is within the first call.
        self.is_opening = False
        #: Takes the dynamic arguments; `None` where `jax.jit` is to be called.
        self.compiled: Any = None


@dataclass
class OfTheFunction:
    """An error that the function raised while it was traced, which is the caller's."""

    cause: BaseException | None = None


class Statics:
    """Which arguments of a function are static, by position and by name, as `jax.jit` infers it."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        import inspect

        numbers, names = options.get("static_argnums"), options.get("static_argnames")
        self.numbers = set(_listed(numbers, int))
        self.names = set(_listed(names, str))
        if not self.numbers and not self.names:
            return
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
        placed = [parameter.name for parameter in parameters if parameter.kind in kinds]
        self.numbers = {at + len(placed) if at < 0 else at for at in self.numbers}
        if names is None:
            self.names = {placed[at] for at in self.numbers if at < len(placed)}
        elif numbers is None:
            self.numbers = {at for at, name in enumerate(placed) if name in self.names}

    def split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
        """The dynamic arguments, those with names, and the static ones."""
        if not self.numbers and not self.names:
            return args, kwargs, ()
        dynamic = tuple(item for at, item in enumerate(args) if at not in self.numbers)
        named = {name: item for name, item in kwargs.items() if name not in self.names}
        static: tuple[tuple[Any, Any], ...] = tuple(
            (at, item) for at, item in enumerate(args) if at in self.numbers
        )
        static += tuple(sorted((name, kwargs[name]) for name in kwargs if name in self.names))
        return dynamic, named, static

    def join(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """Puts the static arguments of a call back among others."""
        all_args, all_kwargs = list(args), dict(kwargs)
        for place, item in call.static:
            if isinstance(place, int):
                all_args.insert(place, item)
            else:
                all_kwargs[place] = item
        return tuple(all_args), all_kwargs


def _listed(value: Any, kind: type) -> list[Any]:
    return [] if value is None else [value] if isinstance(value, kind) else list(value)


def describe(statics: Statics, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """A call, or `None` if it is part of another trace, or takes what `jax.jit` refuses."""
    import jax
    from jax.api_util import shaped_abstractify

    dynamic, named, static = statics.split(args, kwargs)
    leaves, tree = jax.tree_util.tree_flatten((dynamic, named))
    avals, shardings = [], []
    for leaf in leaves:
        if isinstance(leaf, jax.core.Tracer):
            return None
        if isinstance(leaf, jax.Array):
            avals.append(leaf.aval)
            shardings.append(leaf.sharding if leaf.committed else None)
            continue
        try:
            avals.append(shaped_abstractify(leaf))
        except TypeError:
            return None
        shardings.append(None)
    return Call(dynamic, named, static, tree, tuple(avals), tuple(shardings))


def is_inside_a_trace() -> bool:
    from jax._src import core

    return not core.trace_state_clean()


def digest_of_call(call: Call, walk: Walk) -> str:
    """The digest of the tree, the shapes and the static arguments."""
    parts = [_digest_of_tree(call.tree, walk)]
    for aval, sharding in zip(call.avals, call.shardings, strict=True):
        weak = getattr(aval, "weak_type", False)
        placed = walk.digest(sharding, "the sharding of an argument")
        kind = repr(getattr(aval, "sharding", None)) if sharding is None else ""
        parts.append(hash_of(repr(aval.shape), str(aval.dtype), str(weak), placed, kind))
    for place, item in call.static:
        parts.append(walk.digest((place, item), f"the static argument {place}"))
    return hash_of(*parts)


def _digest_of_tree(tree: Any, walk: Walk) -> str:
    """The tree's nodes one by one, since a node's text may leave out what it holds."""
    data = tree.node_data()
    parts = [str(tree.num_nodes), str(tree.num_leaves)]
    if data is not None:
        kind, held = data
        name = f"{kind.__module__}.{kind.__qualname__}"
        parts += [name, walk.digest(held, f"what an argument of the type {name} holds")]
        parts += [_digest_of_tree(child, walk) for child in tree.children()]
    return hash_of(*parts)
