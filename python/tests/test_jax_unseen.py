"""Does `cached_jit` see what is easily overlooked, and does nothing of its own reach the caller?

Each test runs programs in processes of their own (`jax_project`).
"""

import pytest
from jax_project import Project, needs_recording, program

pytestmark = needs_recording

#: Each function computes with `G`, or runs a helper that does, in a way of its own.
OVERLOOKED = {
    "main.py": """
import helpers
import pkg.inner
from helpers import G, Tuple, decorated

class Gain:
    def __init__(self):
        self._state = self.scope = G

class Called:
    @functools.partial(jax.jit, static_argnums=0)
    def __call__(self, x):
        return x * self.factor
    factor = G

def holding(x):
    return x * holding.gain

def asks(module):
    return module.G

def by_text(name):
    import importlib
    return importlib.import_module(name)

def patched(self, x):
    return x * 3.0

holding.gain = G
gain, called, pair, modules = Gain(), Called(), Tuple(G, 1.0), [helpers]
if G == 2.0:
    gadget.Turner.turn = patched
cases = {
    "a field that flax has, too": lambda x: x * gain._state + gain.scope,
    "a module in a list": lambda x: x * modules[0].G,
    "a module that is handed on": lambda x: x * asks(helpers),
    "an attribute of a function": holding,
    "a relative import": pkg.inner.relative,
    "a module that is named by a text": lambda x: x * by_text("late").G,
    "a method behind a decorator": lambda x: called(x),
    "a named tuple": lambda x: x * pair.left,
    "a class of a package that is changed": lambda x: gadget.Turner().turn(x),
    "what a decorator holds": lambda x: getattr(helpers, "_".join(("dec", "orated")))(x),
}
for name, function in cases.items():
    f = functions[name] = jit(function)
    f(x)
""",
    "helpers.py": """
import functools, os, typing
G = float(os.environ["G"])

class Tuple(typing.NamedTuple):
    left: float
    right: float

def scaled(factor):
    def around(function):
        @functools.wraps(function)
        def inner(x):
            return function(x) * factor
        return inner
    return around

@scaled(G)
def dec_orated(x):
    return x + 1

@scaled(2.0)
def decorated(x):
    return x + 2
""",
    "late.py": "from helpers import G\n",
    "pkg/__init__.py": "",
    "pkg/config.py": "from helpers import G\n",
    "pkg/inner/__init__.py": "def relative(x):\n    from .. import config\n    return x * config.G\n",
    "lib/site-packages/gadget.py": (
        '__version__ = "1.0"\n\nclass Turner:\n    def turn(self, x):\n        return x * 5.0\n'
    ),
}


def overlooked(tmp_path):
    head = program("")["main.py"].partition("\nwait_for")
    lib = 'sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib", "site-packages"))\n'
    main = head[0] + lib + "import gadget\n" + OVERLOOKED["main.py"] + "".join(head[1:])
    return Project(tmp_path / "project", tmp_path / "cache", {**OVERLOOKED, "main.py": main})


def test_what_is_easily_overlooked_is_seen(tmp_path):
    files = overlooked(tmp_path)
    for source in ("recorded", "confirmed", "untraced"):
        reports = files.reports(G="1.0")
        assert {name: one["source"] for name, one in reports.items()} == dict.fromkeys(reports, source), reports
    assert set(files.sources(G="2.0").values()) == {"recorded"}, files.reports(G="2.0")


REFUSED = """
def evaluated(x):
    return x * eval("len('ab')")

cases = {
    "eval": (evaluated, "uses eval"),
    "globals": (lambda x: x * len(globals()["cases"]), "uses globals"),
    "exists": (lambda x: x * os.path.exists("flag"), "asks the system"),
    "a thread": (lambda x: [x, threading.Thread(target=len, args=([],)).start()][0], "asks the system"),
}
for name, (function, reason) in cases.items():
    f = functions[name] = jit(function)
    f(x)
    assert reason in (f.reason or ""), (name, f.reports)
"""


def test_what_reaches_anything_is_refused(tmp_path):
    assert set(Project(tmp_path / "p", tmp_path / "cache", program(REFUSED)).sources().values()) == {"traced"}


HARMLESS = """
class Node:
    def __init__(self, next):
        self.next = next

class Odd:
    def __getattr__(self, name):
        raise RuntimeError("no " + name)

deep, odd = None, Odd()
for _ in range(2000):
    deep = Node(deep)
f = functions["deep"] = jit(lambda x: x * (deep is not None))
assert f(x)[1] == 1 and "preheat failed" in f.reason, f.reason
f = functions["odd"] = jit(lambda x: x * (odd is not None))
assert f(x)[1] == 1 and f.reason, f.reason

f = jit(lambda x, n: x, static_argnums=1)
try:
    f(x, [])
except ValueError as error:
    assert "ashable" in str(error), error
else:
    raise AssertionError("a list is no static argument")

inner = jit(lambda x: x + 1)
def outer(x):
    with jax.core.eval_context():
        inner(np.ones(3))
    return x * 2
from jax._src import core
jax.core.eval_context = core.eval_context
f = functions["outer"] = jit(outer)
assert f(x)[1] == 2 and inner(np.ones(3))[0] == 2

def failing(x):
    calls.append(1)
    raise OSError("of the user's")
calls = []
try:
    jit(failing)(x)
except OSError as error:
    assert str(error) == "of the user's" and len(calls) == 1
"""


def test_what_fails_in_preheat_leaves_the_call_to_jit(tmp_path):
    files = Project(tmp_path / "p", tmp_path / "cache", program(HARMLESS))
    for _ in range(3):
        files.start()


def test_a_child_that_was_forked_waits_for_nothing(tmp_path):
    text = """
f = functions["f"] = jit(lambda x: x + 1)
f(x)
if f.reports[0].source == "untraced":
    child = os.fork()
    if not child:
        os._exit(0 if wait_for_verification(20) else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
    files = Project(tmp_path / "p", tmp_path / "cache", program(text))
    for source in ("recorded", "confirmed", "untraced"):
        assert files.sources()["f"] == source


def test_a_warning_that_is_an_error_stops_no_thread(tmp_path):
    text = """
import warnings
from preheat import PreheatWarning
warnings.simplefilter("error", PreheatWarning)
array, other = np.full(8, float(os.environ["FILL"])), 2.0
f = functions["f"] = jit(lambda x: x + array, key="a")
g = functions["g"] = jit(lambda x: x + other)
f(x), g(x)
assert wait_for_verification(60)
"""
    files = Project(tmp_path / "p", tmp_path / "cache", program(text))
    for _ in range(3):
        files.reports(FILL="1")
    reports = files.reports(FILL="2")
    assert reports["f"]["verified"] is False and reports["g"]["verified"] is True


@pytest.mark.parametrize("name", ["mine.json", "mine.code"])
def test_files_with_other_names_stay(name, tmp_path):
    files = Project(tmp_path / "p", tmp_path / "cache", program('f = functions["f"] = jit(lambda x: x + 1)\nf(x)\n'))
    files.sources()
    (code,) = files.cache.rglob("*.code")
    mine = code.with_name(name)
    mine.write_text("mine")
    code.write_bytes(b"damaged")
    assert [files.sources()["f"] for _ in range(3)][-1] == "untraced" and mine.read_text() == "mine"
