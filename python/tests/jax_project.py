"""A small program of somebody's, and processes that run it: what the tests of `cached_jit` edit."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

# JAX is asked in a child: importing it sets variables, which other tests would pass on.
_ASKS_JAX = "import jax; print(hasattr(jax, 'make_user_context'))"
#: Older releases cannot be made to trace anew. `test_an_older_jax_records_nothing` runs there.
CAN_TRACE_ANEW = subprocess.check_output([sys.executable, "-c", _ASKS_JAX]).strip() == b"True"
needs_recording = pytest.mark.skipif(
    not CAN_TRACE_ANEW, reason="this JAX has no make_user_context: nothing is recorded"
)
FILES = {
    "helpers.py": '''"""Helpers."""
import dataclasses
import enum
import functools

import jax
import jax.numpy as jnp

OFFSET = 0.5
UNUSED = 1
TABLE = {"gain": 2.0, "shift": [1, 2], "curve": lambda x: x * 1.25}


class Mode(enum.Enum):
    FAST = 1
    EXACT = 2


@dataclasses.dataclass(frozen=True)
class Settings:
    depth: int = 2
    mode: Mode = Mode.FAST


class Layer:
    bias = 0.25

    def __init__(self, width):
        self.width = width

    def apply(self, x):
        return x * self.width + self.bias


def scale(x, factor=3.0):
    # A comment.
    return x * factor


def unused(x):
    return x + 1


def wrapped(function):
    @functools.wraps(function)
    def inner(x):
        return function(x) + 0.125

    return inner


@wrapped
def decorated(x):
    return x * 1.5


@functools.partial(jax.jit, static_argnums=1)
def power(x, exponent):
    return x**exponent


@jax.checkpoint
def remembered(x):
    return jnp.tanh(x) * 0.75


def by_name(x):
    """A helper that is found by a text."""
    return x - 0.0625


REGISTRY = {"shift": lambda x: x + 7.0}
''',
    "late.py": "LATE = 11.0\n",
    "lib/site-packages/gadget/__init__.py": '__version__ = "1.0"\n\ndef turn(x):\n    return x * 5.0\n',
    "main.py": '''import functools
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "site-packages"))

import gadget
import jax
import jax.numpy as jnp
import numpy as np

from preheat.jax import cached_jit, wait_for_verification

import helpers
from helpers import Layer, Settings, scale

events = []
jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: events.append(name))
layer = Layer(1.5)
bent = functools.partial(scale, factor=0.5)


def make(strength):
    def made(x, settings=Settings()):
        """What is compiled."""
        print("tracing")
        import late
        x = x * strength + helpers.OFFSET + late.LATE
        for _ in range(settings.depth):
            x = scale(x) + layer.apply(x)
        if settings.mode is helpers.Mode.EXACT:
            x = x * 100.0
        x = helpers.TABLE["curve"](x) * helpers.TABLE["gain"] + helpers.TABLE["shift"][1]
        x = helpers.decorated(bent(helpers.power(x, 2))) + helpers.remembered(x)
        x = getattr(helpers, "by_name")(x) + helpers.REGISTRY["shift"](x)
        x, _ = jax.lax.scan(lambda carry, _: (carry * 0.5, None), x, None, length=2)
        x = x @ jnp.ones((4, 4), x.dtype) + float(os.environ.get("GAIN", "1"))
        return gadget.turn(x) + abs(-1)
    return made


plain = make(0.3)
function = cached_jit(plain, cache_dir=os.environ["CACHE"])
x = np.linspace(0, 1, 16, dtype="float32").reshape(4, 4)
events.clear()
got = np.asarray(function(x))
traced = [name for name in events if "trace" in name or "mlir" in name]
(report,) = function.reports
wait_for_verification(60)
same = bool(np.allclose(got, np.asarray(jax.jit(plain)(x)), rtol=1e-5))
print("RESULT", json.dumps({
    "source": report.source, "reason": report.reason, "verified": report.verified,
    "events": len(traced), "same": same,
}))
''',
}


def result(done):
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line[7:])


@dataclass
class Outcome:
    source: str
    reason: str | None
    verified: bool | None
    #: How often JAX said that it traced or lowered, until the first result was there.
    events: int
    same: bool
    output: str
    errors: str


class Project:
    """The program in a folder."""

    def __init__(self, folder, cache, files=FILES):
        self.folder, self.cache = folder, cache
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")

    def edit(self, name, old, new):
        text = (self.folder / name).read_text("utf-8")
        assert old in text, f"{old!r} is not in {name}"
        (self.folder / name).write_text(text.replace(old, new, 1), "utf-8")

    def run(self, **variables):
        done = self.start(**variables)
        return Outcome(**result(done), output=done.stdout, errors=done.stderr)

    def reports(self, **variables):
        """What became of each function, by its name."""
        return result(self.start(**variables))

    def sources(self, **variables):
        return {name: report["source"] for name, report in self.reports(**variables).items()}

    def start(self, **variables):
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "CACHE": str(self.cache), **variables}
        # A source that was edited within the same second would be taken for the one in a .pyc file.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run(
            [sys.executable, str(self.folder / "main.py")], cwd=self.folder, env=environment,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done


def program(text):
    """A `main.py` that has what most of the tests need."""
    return {"main.py": HEAD + text + TAIL}


HEAD = '''import dataclasses, enum, functools, json, os, sys, threading, time
import jax
import jax.numpy as jnp
import numpy as np
from preheat.jax import cached_jit, wait_for_verification

jit = functools.partial(cached_jit, cache_dir=os.environ["CACHE"])
x = np.arange(8, dtype="float32")
functions = {}
events = []
jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: events.append(name))
'''
TAIL = '''
wait_for_verification(60)
print("RESULT", json.dumps({name: vars(function.reports[-1]) for name, function in functions.items()}))
'''
