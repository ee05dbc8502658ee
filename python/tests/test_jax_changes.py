"""Does a change to a function, or to what it uses, miss if it may change the program, and hit else?

Each row is a fresh process that runs an edited copy of `jax_project`, beside a cache in which two
processes have recorded and confirmed the unedited one. Without `--full`, every fourth row is tried,
because a process takes seconds.
"""

import shutil

import pytest
from jax_project import Project, needs_recording

pytestmark = needs_recording

HELPERS, MAIN = "helpers.py", "main.py"
#: What is edited, or which variables are set.
MISSES = {
    "a constant in the function": (MAIN, "x * 100.0", "x * 101.0"),
    "an operator in the function": (MAIN, "x * strength + helpers", "x * strength - helpers"),
    "a variable of the closure": (MAIN, "make(0.3)", "make(0.4)"),
    "the body of a scan": (MAIN, "carry * 0.5", "carry * 0.25"),
    "a static length": (MAIN, "length=2", "length=3"),
    "a helper's operator": (HELPERS, "return x * factor", "return x / factor"),
    "a helper's default": (HELPERS, "factor=3.0", "factor=4.0"),
    "a keyword of a partial": (MAIN, "factor=0.5", "factor=0.25"),
    "a global of a module": (HELPERS, "OFFSET = 0.5", "OFFSET = 0.75"),
    "a value in a global dictionary": (HELPERS, '"gain": 2.0', '"gain": 2.5'),
    "an item of a list in it": (HELPERS, "[1, 2]", "[1, 3]"),
    "a lambda in it": (HELPERS, "x * 1.25", "x * 1.5"),
    "a lambda in a registry": (HELPERS, "x + 7.0", "x + 8.0"),
    "the default of a dataclass": (HELPERS, "depth: int = 2", "depth: int = 3"),
    "the member of an enum": (HELPERS, "mode: Mode = Mode.FAST", "mode: Mode = Mode.EXACT"),
    "a field of an object": (MAIN, "Layer(1.5)", "Layer(1.25)"),
    "an attribute of its class": (HELPERS, "bias = 0.25", "bias = 0.5"),
    "a method": (HELPERS, "x * self.width + self.bias", "x * self.width - self.bias"),
    "a decorator": (HELPERS, "function(x) + 0.125", "function(x) + 0.25"),
    "a decorated function": (HELPERS, "x * 1.5", "x * 1.75"),
    "a jitted helper": (HELPERS, "x**exponent", "x * exponent"),
    "its static argument": (MAIN, "helpers.power(x, 2)", "helpers.power(x, 3)"),
    "a checkpointed helper": (HELPERS, "jnp.tanh(x)", "jnp.sin(x)"),
    "a helper that is named by a text": (HELPERS, "x - 0.0625", "x - 0.5"),
    "a module that is imported late": ("late.py", "11.0", "12.0"),
    "a global that hides a builtin": (MAIN, "def make(", "def abs(x):\n    return 9\n\n\ndef make("),
    "a package's version": ("lib/site-packages/gadget/__init__.py", '"1.0"', '"1.1"'),
    "a function that is put into a package": (
        MAIN, "plain = make", "gadget.turn = lambda x: x * 9.0\nplain = make",
    ),
    "JAX's version": (MAIN, "layer = Layer", 'jax.__version__ = "0.0.1"\nlayer = Layer'),
    "an environment variable that is read": {"GAIN": "2"},
    "a setting of JAX": {"JAX_DEFAULT_MATMUL_PRECISION": "highest"},
    "the width of numbers": {"JAX_ENABLE_X64": "1"},
    "the number of devices": {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
}  # fmt: skip
HITS = {
    "nothing": (MAIN, "", ""),
    "a comment": (HELPERS, "# A comment.", "# Another comment, which is longer."),
    "moved lines": (HELPERS, "OFFSET =", "\n\n\n# Moved.\nOFFSET ="),
    "white space and brackets": (HELPERS, "return x * factor", "return (\n        x  *  factor\n    )"),
    "another docstring": (MAIN, "What is compiled.", "What is compiled, and how."),
    "a new docstring": (HELPERS, "def scale(x, factor=3.0):", 'def scale(x, factor=3.0):\n    """Scales."""'),
    "a docstring less": (HELPERS, '    """A helper that is found by a text."""\n', ""),
    "annotations": (HELPERS, "def by_name(x):", 'def by_name(x: "float") -> "float":'),
    "a function that does not run": (HELPERS, "return x + 1", "return x + 2"),
    "a global that is not used": (HELPERS, "UNUSED = 1", "UNUSED = 2"),
    "the order of functions": (MAIN, "layer = Layer(1.5)\nbent = functools.partial(scale, factor=0.5)",
                               "bent = functools.partial(scale, factor=0.5)\nlayer = Layer(1.5)"),
    "a variable that is not read": {"SOMETHING": "2"},
    "a setting of JAX's log": {"JAX_LOG_COMPILES": "1"},
}  # fmt: skip


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    """A cache that two processes have filled, and that a third one was served from."""
    folder = tmp_path_factory.mktemp("jax")
    project = Project(folder / "project", folder / "cache")
    first, second, third = [project.run() for _ in range(3)]
    assert (first.source, second.source, third.source) == ("recorded", "confirmed", "untraced"), first
    assert first.events and second.events and first.output.count("tracing") > 1
    # The one trace of the third process came after its result: in the background.
    assert third.events == 0 and third.verified is True and third.same
    return folder / "cache"


def edited(change, confirmed, tmp_path):
    shutil.copytree(confirmed, tmp_path / "cache")
    project = Project(tmp_path / "project", tmp_path / "cache")
    if isinstance(change, dict):
        return project.run(**change)
    project.edit(*change)
    return project.run()


def pytest_generate_tests(metafunc):
    rows = {"missing": MISSES, "hitting": HITS}
    for argument, table in rows.items():
        if argument in metafunc.fixturenames:
            step = 1 if metafunc.config.getoption("--full") else 4
            metafunc.parametrize(argument, list(table)[::step])


def test_what_may_change_the_program_misses(missing, confirmed, tmp_path):
    outcome = edited(MISSES[missing], confirmed, tmp_path)
    assert outcome.source == "recorded" and outcome.events and outcome.same, outcome


def test_what_is_cosmetic_hits(hitting, confirmed, tmp_path):
    outcome = edited(HITS[hitting], confirmed, tmp_path)
    assert outcome.source == "untraced" and outcome.events == 0, outcome
    assert outcome.verified is True and outcome.same, outcome
