"""What does a function depend on besides its arguments? A digest of everything that it can reach.

The walk begins at the function and follows what code that ran loads: closures, defaults, globals,
attributes of modules, fields of objects, methods of classes. Code of the user's that did not run
while tracing cannot matter; only that it did not run is noted. Code of installed packages counts by
the package's version. The same walk is made when an entry is recorded and when one is looked for;
`ran` is then what the entry says.

A value that no digest can be taken of is noted in `unproven`, with the way to it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import sys
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from types import MappingProxyType
from typing import Any

from preheat._jax_code import STDLIB, USER, facts_of, hash_of, owner_of_code, owner_of_module
from preheat._jax_code import version_of
from preheat._jax_kinds import CONTAINERS, described, fields_of, is_array, is_lazy_cache
from preheat._jax_kinds import is_machinery, is_of_python, is_of_user, unwrapped

_PLAIN = (bool, int, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, complex)
_WRAPPERS = (staticmethod, classmethod, property, functools.cached_property)


class Walk:
    """One walk. `digest(value, way)` can be called for several values."""

    def __init__(
        self,
        ran: frozenset[str] | set[str],
        key: str | None = None,
        modules: frozenset[str] | None = None,
        names: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        self.ran = ran
        self.key = key
        #: All names that code that ran may ask for. A module of the user's can be handed on, and
        #: so any of that code may be what asks it.
        self.names = frozenset(names)
        #: What code that ran imports while it runs. `None` takes what is there.
        self.modules = modules
        #: Those that were met, and modules within them.
        self.imported: set[str] = set()
        #: Why no entry can be recorded.
        self.unproven: list[str] = []
        #: Digests of code that ran and was reached.
        self.covered: set[str] = set()
        self._done: dict[Any, tuple[Any, str]] = {}
        self._open: dict[Any, int] = {}

    def digest(self, value: Any, way: str, names: frozenset[str] = frozenset()) -> str:
        kind = type(value)
        if kind in _PLAIN:
            return hash_of(kind.__name__, repr(value))
        if kind is float:
            return hash_of("float", value.hex())
        place = (id(value), names) if isinstance(value, ModuleType) else id(value)
        if place in self._done:
            return self._done[place][1]
        if place in self._open:
            return hash_of("cycle", str(len(self._open) - self._open[place]))
        self._open[place] = len(self._open)
        try:
            found = self._of(value, way, names)
        finally:
            del self._open[place]
        # The value is kept, so that no other gets its identity.
        self._done[place] = (value, found)
        return found

    def unprovable(self, way: str, why: str) -> str:
        """Notes a value that nothing is known of; with a key, the user answers for it."""
        if self.key is None:
            self.unproven.append(f"{way} is {why}")
        return hash_of("unproven")

    def _of(self, value: Any, way: str, names: frozenset[str]) -> str:
        kind = type(value)
        if kind is tuple or kind is list:
            items = [self.digest(item, f"{way}[{at}]") for at, item in enumerate(value)]
            return hash_of(kind.__name__, *items)
        if kind is dict or kind is MappingProxyType:
            return hash_of("dict", *self._pairs(value, way))
        if kind is set or kind is frozenset:
            return hash_of(kind.__name__, *sorted(self.digest(item, way) for item in value))
        if isinstance(value, enum.Enum):
            its_class = self.digest(kind, f"the class of {way}")
            return hash_of("enum", its_class, value.name, self.digest(value.value, way))
        if isinstance(value, ModuleType):
            return self._module(value, way, names)
        if isinstance(value, FunctionType):
            return self._function(value, way)
        if isinstance(value, MethodType):
            itself = self.digest(value.__self__, f"{way}.__self__")
            return hash_of("method", itself, self.digest(value.__func__, way))
        if isinstance(value, BuiltinFunctionType):
            return self._builtin(value, way)
        if isinstance(value, functools.partial):
            given = (value.func, value.args, value.keywords)
            return hash_of("partial", *[self.digest(part, way) for part in given])
        if isinstance(value, CodeType):
            return hash_of("code", facts_of(value).digest)
        if isinstance(value, type):
            return self._class(value, way)
        if isinstance(value, _WRAPPERS):
            named = ("__func__", "fget", "fset", "fdel", "func")
            within = [getattr(value, name, None) for name in named]
            return hash_of(kind.__name__, *[self.digest(part, way) for part in within])
        if is_array(value):
            return self.unprovable(way, "an array, whose values are part of the program")
        known = described(value)
        if known is not None:
            return hash_of("described", *(self.digest(part, way) for part in known))
        parts = getattr(kind, "__preheat_parts__", None)
        if parts is not None:
            return hash_of("cached", self.digest(parts(value), way))
        address = _address(value)
        if address is not None:
            return hash_of("of a package", *address)
        if is_lazy_cache(value):
            return self._cached(value, way)
        return self._object(value, way)

    def _pairs(self, value: Any, way: str) -> list[str]:
        found = []
        for key, item in value.items():
            found.append(self.digest(key, f"a key of {way}"))
            found.append(self.digest(item, f"{way}[{key!r:.40}]"))
        return found

    def _function(self, function: FunctionType, way: str) -> str:
        code = function.__code__
        owner = owner_of_code(code, function.__globals__)
        if owner != USER:
            address = _address(function)
            if address is not None:
                return hash_of("of a package", *address)
            name = f"{function.__module__}.{function.__qualname__}"
            return hash_of("made by a package", owner, version_of(owner) or "", name,
                           *self._held(function, way))  # fmt: skip
        facts = facts_of(code)
        if facts.digest not in self.ran:
            return hash_of("did not run", *self._attributes(function, way))
        self.covered |= {facts.digest, *facts.inner}
        parts = ["ran", facts.digest, *self._held(function, way)]
        for name in sorted(facts.global_names):
            parts.append(name)
            if name in function.__globals__:
                reached = function.__globals__[name]
                parts.append(self.digest(reached, f"the global {name}", facts.used_names))
            else:
                parts.append("builtin")
        for name in sorted(facts.imports):
            parts += [name, self._import(name, function.__globals__, facts.used_names)]
        return hash_of(*parts)

    def _import(self, name: str, its_globals: dict[str, Any], used: frozenset[str]) -> str:
        """A module that a function imports while it runs; the name may be a relative one.

        How many packages up a relative name begins is not looked at: all are tried.
        """
        package = str(its_globals.get("__package__") or "").split(".")
        bases = [".".join(package[:end]) for end in range(len(package), 0, -1)]
        tried = [name, name.split(".")[0], *(f"{base}.{name}".strip(".") for base in bases if base)]
        found = []
        for whole in dict.fromkeys(filter(None, tried)):
            module = sys.modules.get(whole)
            if self.modules is not None:
                module = imported(whole) if whole in self.modules else None
            if module is not None:
                self.imported.add(whole)
                found += [whole, self.digest(module, whole, used)]
        return hash_of(*found)

    def _held(self, function: FunctionType, way: str) -> list[str]:
        held = [
            self.digest(function.__defaults__, f"a default of {way}"),
            self.digest(function.__kwdefaults__, f"a default of {way}"),
        ]
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:
                held.append("empty")
                continue
            held.append(self.digest(content, f"the variable {name} of {way}",
                                    facts_of(function.__code__).used_names))  # fmt: skip
        if "__wrapped__" in function.__dict__:
            held.append(self.digest(function.__dict__["__wrapped__"], way))
        return held + self._attributes(function, way)

    def _attributes(self, function: FunctionType, way: str) -> list[str]:
        """What somebody put into a function, under names that code that ran may ask for."""
        held = []
        for name, item in sorted(function.__dict__.items()):
            if name in self.names and name != "__wrapped__":
                held += [name, self.digest(item, f"{way}.{name}")]
        return held

    def _builtin(self, value: BuiltinFunctionType, way: str) -> str:
        bound = getattr(value, "__self__", None)
        name = f"{value.__module__}.{value.__qualname__}"
        if bound is None or isinstance(bound, ModuleType):
            owner = owner_of_module(value.__module__)
            if owner == USER:
                return self.unprovable(way, "a function of an extension that has no version")
            return hash_of("builtin", name, "" if owner == STDLIB else version_of(owner) or "")
        return hash_of("builtin", name, self.digest(bound, f"{way}.__self__"))

    def _module(self, module: ModuleType, way: str, names: frozenset[str]) -> str:
        owner = owner_of_module(module.__name__)
        parts = ["module", module.__name__, owner]
        names = self.names if owner == USER else names or self.names
        if owner != USER:
            parts.append(version_of(owner) or "" if owner in sys.modules else "")
        for name in sorted(names & module.__dict__.keys()):
            value = module.__dict__[name]
            if isinstance(value, ModuleType) and value.__name__ == f"{module.__name__}.{name}":
                self.imported.add(value.__name__)  # the trace may have put it there
            if owner == USER or isinstance(value, (*_PLAIN, float, dict, list, tuple)):
                attribute = f"{module.__name__}.{name}"
                quiet = Walk(self.ran, "", self.modules, names) if owner != USER else self
                parts += [name, quiet.digest(value, attribute, names)]
            elif isinstance(value, ModuleType):
                parts += [name, self.digest(value, way, names)]
            elif isinstance(value, type):
                parts += [name, *self._patches(value, way)]
            elif is_of_user(unwrapped(value)):
                # Somebody put a function of the user's into a package.
                parts += [name, self.digest(value, way)]
        return hash_of(*parts)

    def _patches(self, value: type, way: str) -> list[str]:
        """Functions of the user's that were put into a class of a package."""
        found = []
        for kind in value.__mro__:
            if owner_of_module(kind.__module__) in (USER, STDLIB):
                continue
            home = vars(sys.modules[kind.__module__])
            for name, item in sorted(kind.__dict__.items()):
                if getattr(item, "__globals__", None) is not home and is_of_user(unwrapped(item)):
                    found += [kind.__qualname__, name, self.digest(item, f"{way}.{name}")]
        return found

    def _class(self, value: type, way: str) -> str:
        name = f"{value.__module__}.{value.__qualname__}"
        owner = owner_of_module(value.__module__)
        if owner != USER:
            version = version_of(owner) or ""
            return hash_of("class of a package", owner, version, name, *self._patches(value, way))
        parts = ["class", name]
        if owner_of_module(type(value).__module__) == USER:
            parts.append(self.digest(type(value), f"the class of {way}"))
        parts += [self.digest(base, f"a base of {way}") for base in value.__bases__]
        if issubclass(value, enum.Enum):
            members = {name: member.value for name, member in value.__members__.items()}
            parts.append(self.digest(members, way))
        for name, item in sorted(value.__dict__.items()):
            if issubclass(value, enum.Enum) and not is_of_user(item):
                continue  # tables of the members
            if name == "__dataclass_fields__":
                parts.append(self._dataclass(item, way))
            elif isinstance(item, (FunctionType, *_WRAPPERS)) or not is_machinery(
                name, item, value
            ):
                parts += [name, self.digest(item, f"{way}.{name}")]
        return hash_of(*parts)

    def _dataclass(self, fields: dict[str, Any], way: str) -> str:
        parts = []
        for name, field in sorted(fields.items()):
            held = (name, field.default, field.default_factory, field.init, dict(field.metadata))
            known = tuple(None if part is dataclasses.MISSING else part for part in held)
            parts.append(self.digest(known, f"{way}.{name}"))
        return hash_of("fields", *parts)

    def _cached(self, value: Any, way: str) -> str:
        """A `functools.lru_cache`: what it answered from is not seen to run."""
        function = value.__wrapped__
        code = getattr(function, "__code__", None)
        if (
            isinstance(code, CodeType)
            and owner_of_code(code, function.__globals__) == USER
            and facts_of(code).digest not in self.ran
        ):
            if value.cache_info().currsize:
                return self.unprovable(way, "a functools cache that was filled before")
        return hash_of("functools cache", self.digest(function, way))

    def _object(self, value: Any, way: str) -> str:
        kind = type(value)
        owner = owner_of_module(kind.__module__)
        fields = fields_of(value)
        has_content = isinstance(value, CONTAINERS)
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is None and not is_of_python(kind):
            return self.unprovable(
                way, f"of the type {kind.__module__}.{kind.__qualname__}, which hides what it holds"
            )
        parts = ["object", owner, self.digest(kind, f"the class of {way}")]
        if has_content:
            parts.append(self._content(value, way))
        for name in sorted(fields):
            parts += [name, self.digest(fields[name], f"{way}.{name}")]
        if wrapped is not None and "__wrapped__" not in fields:
            parts.append(self.digest(wrapped, way))
        return hash_of(*parts)

    def _content(self, value: Any, way: str) -> str:
        kinds: tuple[type[Any], ...] = (dict, list, tuple, frozenset, set)
        for kind in kinds:
            if isinstance(value, kind):
                return self.digest(kind(value), way)
        for plain in (str, bytes, int, float):
            if isinstance(value, plain):
                return hash_of(plain.__name__, plain.__repr__(value))
        return ""


def imported(name: str) -> ModuleType | None:
    """A module that a trace would import, too."""
    try:
        return sys.modules.get(name) or importlib.import_module(name)
    except Exception:
        return None  # the trace would say why


def _address(value: Any) -> tuple[str, str, str] | None:
    """Where in an installed package a value lies, if it does: its version says what it is."""
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    owner = owner_of_module(module)
    if owner == USER or module not in sys.modules:
        return None
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    return (owner, version_of(owner) or "", f"{module}.{name}") if found is value else None
