"""How does `cached_jit` talk to JAX? Environments, programs and executables.

Most of JAX's private names that are used are here. Those that a release lacks are done without, or
the entry is not recorded.
"""

from __future__ import annotations

import os
import pickle
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from preheat._jax_call import Call, Statics
from preheat._jax_code import hash_of
from preheat._jax_values import Walk

#: Raised whenever the digests mean something else than before.
_FORMAT = "2"
#: Settings of JAX that change neither a program nor its executable.
_IDLE_SETTINGS = (
    "jax_log", "jax_explain", "jax_compilation_cache_", "jax_persistent_cache_", "jax_dump_ir",
    "jax_enable_compilation_cache", "jax_raise_persistent_cache", "jax_traceback_",
    "jax_tracer_error", "jax_include_", "jax_pprint", "jax_debug_log", "jax_captured_constants_",
    "jax_hlo_source_file", "jax_source_url", "jax_transfer_guard", "jax_array_garbage",
    "jax_distributed_debug", "jax_check_tracer_leaks",
)  # fmt: skip
#: Variables that the compilers read.
_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "TF_XLA_FLAGS")


class NotRecorded(Exception):
    """Why a function runs as it would under `jax.jit`."""


def digest_of_environment(walk: Walk) -> str:
    """Versions, devices, JAX's settings and the contexts of this thread."""
    import jax
    from jax._src import config

    settings = {
        name: value if isinstance(value, (str, int, float, type(None))) else repr(value)
        for name, value in jax.config.values.items()
        if not name.startswith(_IDLE_SETTINGS)
    }
    default = jax.config.jax_default_device
    return hash_of(
        _digest_of_machine(),
        walk.digest(settings, "JAX's settings"),
        walk.digest(config.trace_context(), "a context of JAX"),
        walk.digest(default, "JAX's default device"),
        repr([os.environ.get(name) for name in _VARIABLES]),
        walk.digest(_rules_of_flax(), "a rule of axes of flax"),
    )


def _flax() -> Any:
    """The module of flax that keeps rules of axes for each thread, if it is loaded."""
    modules = (sys.modules.get(name) for name in ("flax.core.spmd", "flax.linen.spmd"))
    return next((one for one in modules if hasattr(one, "set_logical_axis_rules")), None)


def _rules_of_flax() -> Any:
    flax = _flax()
    return flax.get_logical_axis_rules() if flax is not None else ()


@cache
def _digest_of_machine() -> str:
    import jax
    import jaxlib

    if jax.process_count() > 1:
        raise NotRecorded("several processes run this program together")
    devices = jax.devices()
    client = devices[0].client
    return hash_of(
        _FORMAT, sys.version, str(sys.flags.optimize), jax.__version__, jaxlib.__version__,
        client.platform, client.platform_version, getattr(client, "runtime_type", ""),
        repr([(device.id, device.device_kind) for device in devices]),
        platform.machine(), _features(),
    )  # fmt: skip


def _features() -> str:
    """What the processor can do: an executable for another one may end the process."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = ("flags", "Features", "model name")
            return "".join(sorted({line for line in file if line.startswith(names)}))
    except OSError:
        return platform.processor()


_FRESH: list[Any] = []


def prepare_fresh() -> None:
    """Makes the context under which JAX traces everything anew.

    JAX keys its caches of traces by the thread's contexts. So in a context with a value of its own,
    no inner function is answered from an earlier trace, and all that runs is seen.
    """
    if _FRESH:
        return
    import jax

    make = getattr(jax, "make_user_context", None)
    if make is None:
        raise NotRecorded(
            f"JAX {jax.__version__} cannot be made to trace anew: it has no make_user_context, "
            f"which newer releases have"
        )
    _FRESH.append(make(None))


@contextmanager
def _set_locally(state: Any, value: Any) -> Iterator[None]:
    before = state.swap_local(value)
    try:
        yield
    finally:
        state.set_local(before)


def traced_anew() -> Any:
    """A context in which JAX uses no earlier trace."""
    prepare_fresh()
    return _FRESH[0](object())


def trace_and_lower(jitted: Any, statics: Statics, call: Call) -> Program:
    """The lowered program. The function runs."""
    args, kwargs = statics.join(call, *call.abstract())
    return Program.of(jitted.trace(*args, **kwargs).lower())


@dataclass(frozen=True)
class Program:
    """A lowered program, and its digest without places in the source."""

    lowered: Any
    digest: str
    #: The names of what it calls outside of XLA.
    targets: tuple[str, ...]

    @staticmethod
    def of(lowered: Any) -> Program:
        text = lowered.as_text()
        trees = (str(lowered.in_tree), str(lowered.out_tree), str(lowered.donate_argnums))
        targets = tuple(sorted(set(_CUSTOM_CALL.findall(text))))
        return Program(lowered, hash_of(text, *trees), targets)


_CUSTOM_CALL = re.compile(r'stablehlo\.custom_call @"?([\w.$#]+)')
#: Names that mean something to the compiler alone.
_FOR_THE_COMPILER = frozenset({
    "Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape", "annotate_device_placement",
    "MoveToHost", "MoveToDevice", "LayoutConstraint", "TopK", "ApproxTopK", "tpu_custom_call",
})  # fmt: skip


def refuse_what_is_bound_to_the_process(program: Program) -> None:
    """Raises `NotRecorded` for a program that calls what lowering prepared in this process."""
    details = getattr(getattr(program.lowered, "_lowering", None), "compile_args", {})
    for name in ("host_callbacks", "keepalive", "ordered_effects", "unordered_effects"):
        if details.get(name):
            raise NotRecorded("the program calls back into Python")
    for target in program.targets:
        if target not in _FOR_THE_COMPILER and not target.startswith("lapack_"):
            raise NotRecorded(f"the program calls {target}, which JAX prepares when it lowers")


def save(compiled: Any) -> bytes:
    """An executable as bytes, with the tree of its results and its devices."""
    from jax.experimental import serialize_executable

    try:
        content, _, out_tree = serialize_executable.serialize(compiled)
        devices = [device.id for device in compiled.runtime_executable().local_devices()]
        return pickle.dumps((content, out_tree, devices), protocol=5)
    except Exception as cause:
        raise NotRecorded(f"the executable cannot be kept: {cause}") from cause


def load(content: bytes, call: Call, targets: Sequence[str]) -> Any:
    """The executable. `content` has to be trusted: it is unpickled, and it is machine code."""
    from jax.experimental import serialize_executable

    if any(target.startswith("lapack_") for target in targets):
        # Lowering would look LAPACK's functions up. Without them, the executable jumps to nowhere.
        import numpy
        from jaxlib import lapack

        lapack.prepare_lapack_call("potrf", numpy.float32)
    payload, out_tree, numbers = pickle.loads(content)
    devices = _devices(call, numbers)
    return serialize_executable.deserialize_and_load(
        payload, call.tree, out_tree, backend=devices[0].client, execution_devices=devices
    )


def _devices(call: Call, numbers: list[int]) -> list[Any]:
    import jax

    known = {device.id: device for device in jax.local_devices()}
    for sharding in call.shardings:
        if sharding is not None:
            known.update({device.id: device for device in sharding.device_set})
    return [known[number] for number in numbers]


#: Devices on which an executable from JAX's own cache can be written a second time.
_WRITE_TWICE = ("tpu", "gpu", "cuda", "rocm")


def compile_for_keeping(program: Program, call: Call) -> tuple[Any, bytes]:
    """The executable, and bytes of it that were seen to load.

    On the CPU, an executable that JAX's own cache gave lacks machine code when it is written again,
    which only its first run would show. So it is compiled.
    """
    import jax

    if jax.devices()[0].client.platform in _WRITE_TWICE or not jax.config.jax_compilation_cache_dir:
        compiled = program.lowered.compile()
    else:
        compiled = _compile_without_cache(program.lowered)
    content = save(compiled)
    try:
        load(content, call, program.targets)
    except Exception as cause:
        raise NotRecorded(f"the executable cannot be loaded again: {cause}") from cause
    return compiled, content


def is_any_deleted(args: Any, kwargs: Any) -> bool:
    """Whether an array was given away, so that a call cannot be made again."""
    import jax

    leaves = jax.tree_util.tree_leaves((args, kwargs))
    return any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in leaves)


def _compile_without_cache(lowered: Any) -> Any:
    from jax._src import compilation_cache, config

    with config.enable_compilation_cache(False):
        compilation_cache.reset_cache()
        try:
            return lowered.compile()
        finally:
            compilation_cache.reset_cache()


@dataclass
class Contexts:
    """The contexts of a thread: settings, meshes."""

    values: list[tuple[Any, Any]]
    environment: Any
    whole: Any
    #: The rules of axes in flax.
    rules: Any

    @staticmethod
    def here() -> Contexts:
        from jax._src import config, mesh

        values = []
        for state in vars(config).values():
            if hasattr(state, "get_local") and hasattr(state, "set_local"):
                try:
                    values.append((state, state.get_local()))
                except (AttributeError, TypeError):
                    continue
        resources = getattr(mesh, "thread_resources", None)
        env = getattr(resources, "env", None)
        return Contexts(values, env, config.trace_context(), _rules_of_flax())

    @contextmanager
    def entered(self) -> Iterator[bool]:
        """Enters them on this thread. Gives whether nothing is missing."""
        from jax._src import config, mesh

        with ExitStack() as stack:
            for state, value in self.values:
                if state.get_local() is not value:
                    stack.enter_context(_set_locally(state, value))
            resources = getattr(mesh, "thread_resources", None)
            if resources is not None and self.environment is not None:
                stack.callback(setattr, resources, "env", resources.env)
                resources.env = self.environment
            if self.rules != _rules_of_flax():
                stack.callback(_flax().set_logical_axis_rules, _rules_of_flax())
                _flax().set_logical_axis_rules(self.rules)
            yield _same(config.trace_context(), self.whole)


def _same(one: Any, other: Any) -> bool:
    """Whether two contexts are equal. Objects without an equality are compared by what they say."""
    return len(one) == len(other) and all(
        left == right
        or (type(left) is type(right) and vars_of(left) == vars_of(right) is not None)
        for left, right in zip(one, other, strict=True)
    )


def vars_of(value: Any) -> Any:
    return getattr(value, "__dict__", None) or getattr(value, "axis_sizes", None)
