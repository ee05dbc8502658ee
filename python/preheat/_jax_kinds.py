"""Which values of JAX, numpy, flax and the standard library need a rule of their own?

None of these libraries is imported here: a value can only be of a library that is there already.
"""

from __future__ import annotations

import functools
import sys
from collections import namedtuple
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from preheat._jax_code import USER, owner_of_code

CONTAINERS = (dict, list, tuple, set, frozenset, str, bytes, int, float)
#: What the fields of a named tuple are, whose names are in `_fields`.
_FIELD_OF_A_NAMED_TUPLE = type(namedtuple("_", "field").field)  # type: ignore[attr-defined]
_MOST_WRAPPERS = 16

#: Fields that say nothing of what an object computes.
_SKIPPED = frozenset({
    "_abc_impl", "__weakref__", "__dict__", "__doc__",
    "__annotations__", "__module__", "__firstlineno__", "__static_attributes__", "__type_params__",
    "__annotate__", "__annotate_func__", "__annotations_cache__",
})  # fmt: skip
_LRU_CACHE = type(functools.lru_cache(lambda: None))


#: flax numbers its modules, and keeps the state of a bound module in them.
_SKIPPED_OF_FLAX = frozenset({"_id", "_state", "_parent_ref", "scope"})


def is_skipped_field(name: str, owner: type) -> bool:
    """Whether a field of an object of a class, or of the class itself, is left out."""
    if name in _SKIPPED:
        return True
    is_of_flax = any(kind.__module__.split(".")[0] == "flax" for kind in owner.__mro__)
    of_flax = name.startswith(("_pytree__", "_object__", "_flax_", "_kwdef"))
    return (of_flax or name in _SKIPPED_OF_FLAX) and is_of_flax


def is_lazy_cache(value: Any) -> bool:
    """Whether a value is a function behind `functools.lru_cache` or `functools.cache`."""
    return isinstance(value, _LRU_CACHE)


def _of(module: str, name: str) -> Any:
    """A class of a library, or an empty tuple if the library is not there."""
    return getattr(sys.modules.get(module), name, ())


def is_array(value: Any) -> bool:
    """Whether a value is an array of JAX, numpy or torch."""
    return isinstance(
        value, (_of("jax", "Array"), _of("numpy", "ndarray"), _of("torch", "Tensor"))
    )


def described(value: Any) -> tuple[Any, ...] | None:
    """Plain data that says all of a value of some known types; `None` for any other value."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, _of("numpy", "generic")):
        return ("number", str(value.dtype), value.tobytes())
    if isinstance(value, _of("numpy", "dtype")):
        return ("dtype", value.name, value.str, repr(value))
    if isinstance(value, slice):
        return ("slice", value.start, value.stop, value.step)
    if isinstance(value, _of("re", "Pattern")):
        return ("pattern", value.pattern, value.flags)
    if name == "collections.deque":
        return ("deque", list(value), value.maxlen)
    if name in ("collections.defaultdict", "collections.OrderedDict"):
        return (name, dict(value), getattr(value, "default_factory", None))
    if name.startswith(("datetime.", "decimal.", "fractions.")):
        return ("time or number", name, repr(value))
    if isinstance(value, _of("pathlib", "PurePath")):
        return ("path", str(value))
    if isinstance(value, _of("inspect", "Signature")):
        parameters = value.parameters.values()
        return ("signature", tuple((one.name, one.kind.value, one.default) for one in parameters))
    if kind.__module__ == "logging" or kind.__module__ == "typing":
        # A logger changes no program; an annotation neither.
        return ("inert", kind.__qualname__)
    return _of_jax(value, name) if "jax" in sys.modules else None


def _of_jax(value: Any, name: str) -> tuple[Any, ...] | None:
    if isinstance(value, _of("jax", "Device")):
        return ("device", value.platform, value.device_kind, value.id, value.process_index)
    if isinstance(value, _of("jax.sharding", "PartitionSpec")):
        return ("spec", repr(value))
    if isinstance(value, _of("jax.sharding", "Mesh")):
        devices = tuple(value.devices.flat)
        kinds = repr(getattr(value, "axis_types", None))
        return ("mesh", value.axis_names, value.devices.shape, devices, kinds)
    if isinstance(value, _of("jax.sharding", "NamedSharding")):
        return ("named", value.mesh, repr(value.spec), value.memory_kind)
    if isinstance(value, _of("jax.sharding", "Sharding")):
        devices = tuple(sorted(value.device_set, key=lambda device: device.id))
        return ("sharding", name, repr(value), value.memory_kind, devices)
    if isinstance(value, _of("jax.sharding", "AbstractMesh")):
        return ("abstract mesh", repr(value))
    if isinstance(value, _of("jax", "ShapeDtypeStruct")):
        return ("shape", value.shape, str(value.dtype), value.weak_type, value.sharding)
    if name.endswith("PyTreeDef"):
        return ("tree", str(value))
    if name.endswith(".PjitInfo") and hasattr(value, "_fields"):
        fields = zip(value._fields, value, strict=True)
        return ("jit", tuple(item for item in fields if item[0] not in ("fun", "fun_sourceinfo")))
    if name.endswith(".DebugInfo"):
        return ("places in the source",)
    if name.endswith("UnspecifiedValue"):
        return ("unspecified",)
    if name.endswith(".AxisEnv"):
        return ("axes", repr(getattr(value, "axis_sizes", None)))
    return None


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of an object, from its dictionary and from its slots."""
    fields = {}
    for kind in type(value).__mro__:
        if "__slots__" not in kind.__dict__:
            continue  # what a type of C shows of itself are addresses, too
        for name, slot in kind.__dict__.items():
            if isinstance(slot, MemberDescriptorType):
                try:
                    fields[name] = slot.__get__(value, kind)
                except AttributeError:
                    continue
    fields.update(getattr(value, "__dict__", {}))
    owner = type(value)
    return {name: item for name, item in fields.items() if not is_skipped_field(name, owner)}


def unwrapped(item: Any) -> Any:
    """The function within wrappers such as that of `jax.jit`."""
    for _ in range(_MOST_WRAPPERS):
        if isinstance(item, FunctionType) and is_of_user(item):
            return item
        inner = getattr(item, "__wrapped__", None)
        if inner is None:
            break
        item = inner
    return item


def is_of_user(item: Any) -> bool:
    item = getattr(item, "__func__", None) or getattr(item, "fget", None) or item
    return isinstance(item, FunctionType) and owner_of_code(item.__code__, item.__globals__) == USER


def is_of_python(kind: type) -> bool:
    """Whether a class was defined by a `class` statement: then its fields are all that it has."""
    if kind is object or kind in CONTAINERS:
        return True
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if file is None and kind.__module__ != "__main__":
        return False
    if file is not None and not file.endswith((".py", ".ipynb")):
        return False
    # A type of C that says that it is from a module of Python, such as `operator.itemgetter`, has
    # none of these.
    is_own = any(name in kind.__dict__ for name in ("__dict__", "__weakref__", "__slots__"))
    bases = [base for base in kind.__bases__ if base is not object]
    return (is_own or bool(bases)) and all(is_of_python(base) for base in bases)


def is_machinery(name: str, item: Any, owner: type) -> bool:
    """Whether an attribute of a class is one that Python or a library made for itself."""
    if name.startswith("__") and name.endswith("__"):
        # A function behind a decorator, such as `jax.jit` around `__call__`, is none.
        return not is_of_user(unwrapped(item))
    made = (GetSetDescriptorType, MemberDescriptorType, _FIELD_OF_A_NAMED_TUPLE)
    return is_skipped_field(name, owner) or isinstance(item, made)
