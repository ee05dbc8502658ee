"""Does `cached_jit` serve the right program, and refuse what it cannot prove?

Each test runs programs in processes of their own (`jax_project`); `test_jax_changes.py` has the
table of edits.
"""

import os
import threading

import pytest
from conftest import in_a_child
from jax_project import CAN_TRACE_ANEW, Project, needs_recording, program

import preheat


def project(tmp_path, text, name="project"):
    return Project(tmp_path / name, tmp_path / "cache", program(text))


def of_all(sources, source):
    return sources and set(sources.values()) == {source}


FEATURES = """
@dataclasses.dataclass(frozen=True)
class Settings:
    scale: float
    shape: tuple = (2, 4)


class Kind(enum.Enum):
    SINE = "sine"
    COSINE = "cosine"


class Model:
    def __init__(self, width):
        self.width = width

    def forward(self, x):
        return x * self.width


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass
class Pair:
    left: object
    right: object
    label: str

    def tree_flatten(self):
        return (self.left, self.right), self.label

    @classmethod
    def tree_unflatten(cls, label, children):
        return cls(*children, label)


def check(name, function, got, expected):
    functions[name] = function
    jax.tree_util.tree_map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), got, expected)


f = jit(lambda x, n: x * n, static_argnums=1)
check("static", f, f(x, 3), x * 3)
check("static", f, f(x, 4), x * 4)
f = jit(lambda x, *, kind: jnp.sin(x) if kind is Kind.SINE else jnp.cos(x), static_argnames="kind")
check("static enum", f, f(x, kind=Kind.COSINE), np.cos(x))
f = jit(lambda x, settings: x.reshape(settings.shape) * settings.scale, static_argnames="settings")
check("static dataclass", f, f(x, Settings(2.0)), x.reshape(2, 4) * 2)
check("static dataclass by name", f, f(x, settings=Settings(3.0)), x.reshape(2, 4) * 3)
f = jit(lambda tree: {"sum": tree["a"] + tree["b"][0], "pair": (tree["b"][1], None)})
check("tree", f, f({"a": x, "b": [x, 2.0]}), {"sum": x * 2, "pair": (2.0, None)})
f = jit(lambda pair: pair.left + pair.right)
check("node of one's own", f, f(Pair(x, x, "a")), x * 2)
f = jit(lambda x: (x * 2, x + 1), donate_argnums=0)
check("donation", f, f(jnp.asarray(x)), (x * 2, x + 1))
f = jit(Model(2.5).forward)
check("method", f, f(x), x * 2.5)
f = jit(functools.partial(lambda scale, x: x * scale, 4.0))
check("partial", f, f(x), x * 4)
f = jit(lambda x: jax.lax.scan(lambda c, y: (c + y, c * y), 0.0, x))
check("scan", f, f(x), jax.lax.scan(lambda c, y: (c + y, c * y), 0.0, x))
f = jit(lambda x: jax.grad(lambda y: jnp.sum(jnp.sin(y) * y))(x))
check("gradient inside", f, f(x), np.sin(x) + x * np.cos(x))
f = jit(lambda key: jax.random.normal(key, (3,)))
check("random keys", f, f(jax.random.key(1)), jax.random.normal(jax.random.key(1), (3,)))
f = jit(lambda x: jnp.linalg.cholesky(x))
check("a call into a library", f, f(np.eye(3, dtype="float32") * 4), np.eye(3) * 2)
inner = jit(lambda x: x * 1.5)
check("first", inner, inner(x), x * 1.5)
f = jit(lambda x: inner(x) + 1)
check("one in another", f, f(x), x * 1.5 + 1)
f = jit(lambda x, y: x + y)
check("weak types", f, f(jnp.float16(1), 2.0), 3)
assert f(jnp.float16(1), 2.0).dtype == "float16"
with jax.default_matmul_precision("highest"):
    f = jit(lambda x: x @ x)
    check("a context", f, f(x), x @ x)

g = jit(lambda x: jnp.sum(x * x))
np.testing.assert_allclose(jax.grad(g)(x), 2 * x)
np.testing.assert_allclose(jax.vmap(g)(x.reshape(2, 4)), (x * x).reshape(2, 4).sum(1))
np.testing.assert_allclose(jax.jit(lambda x: g(x) + 1)(x), (x * x).sum() + 1)
assert g.reports == [] and g.reason is None
given = jnp.asarray(x)
functions["donation"](given)
assert given.is_deleted()
"""


@needs_recording
def test_what_jit_takes_is_recorded_confirmed_and_served(tmp_path):
    features = project(tmp_path, FEATURES)
    for source in ("recorded", "confirmed", "untraced"):
        reports = features.reports()
        assert {name: one["source"] for name, one in reports.items()} == dict.fromkeys(reports, source), reports
        assert all(one["verified"] is (True if source == "untraced" else None) for one in reports.values())


@needs_recording
def test_a_served_function_neither_traces_nor_lowers(tmp_path):
    text = """
functions["f"] = f = jit(lambda x: jnp.tanh(x) * 2, verify="off")
events.clear()
np.testing.assert_allclose(np.asarray(f(x)), np.tanh(x) * 2, rtol=1e-5)
kinds = sorted({name.rsplit("/", 1)[-1] for name in events})
assert kinds == [] if f.reports[0].source == "untraced" else "jaxpr_trace_duration" in kinds, kinds
"""
    once = project(tmp_path, text)
    assert [once.sources()["f"] for _ in range(4)] == ["recorded", "confirmed", "untraced", "untraced"]


@needs_recording
def test_arrays_are_sharded_over_devices(tmp_path):
    text = """
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("a", "b"))
f = functions["f"] = jit(lambda x: jnp.sin(x) * 2)
for spec in (P("a", "b"), P("b", None), P()):
    given = jax.device_put(np.ones((4, 4), "float32"), NamedSharding(mesh, spec))
    got = f(given)
    np.testing.assert_allclose(got, np.sin(1) * 2, rtol=1e-6)
    assert got.sharding.is_equivalent_to(given.sharding, 2)
g = functions["g"] = jit(lambda x: jax.lax.with_sharding_constraint(x + 1, NamedSharding(mesh, P("a"))))
assert g(np.zeros((4, 4), "float32")).sharding.spec[0] == "a"
on_last = jax.device_put(x, jax.devices()[3])
h = functions["h"] = jit(lambda x: x + 1)
assert h(on_last).devices() == {jax.devices()[3]}
o = functions["o"] = jit(lambda x: x + 1, out_shardings=NamedSharding(mesh, P("a")))
assert o(x).sharding.spec == P("a")
with mesh:
    m = functions["m"] = jit(lambda x: jax.lax.with_sharding_constraint(x * 2, P("b")))
    assert len(m(x).devices()) == 4
"""
    four = project(tmp_path, text)
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    for source in ("recorded", "confirmed", "untraced"):
        reports = four.reports(**flags)
        assert {one["source"] for one in reports.values()} == {source}, reports
    assert all(one["verified"] for one in reports.values()), reports


@needs_recording
def test_a_change_that_no_digest_sees_is_caught_and_reported(tmp_path):
    changed = Project(tmp_path / "project", tmp_path / "cache")
    for source in ("recorded", "confirmed", "untraced"):
        assert changed.run().source == source
    # A package that is edited in place keeps its version.
    changed.edit("lib/site-packages/gadget/__init__.py", "x * 5.0", "x * 6.0")
    changed.edit("main.py", "same = bool(", "got = np.asarray(function(x))\nsame = bool(")
    outcome = changed.run()
    assert outcome.verified is False and outcome.source == "traced", outcome
    assert "is not the one that a trace gives now" in outcome.errors
    assert outcome.same, "the next call uses the traced program"
    assert changed.run().source == "recorded", "the entry was dropped"


@needs_recording
def test_always_finds_it_before_the_first_result_and_off_does_not(tmp_path):
    files = Project(tmp_path / "project", tmp_path / "cache")
    for _ in range(2):
        files.run()
    files.edit("lib/site-packages/gadget/__init__.py", "x * 5.0", "x * 6.0")
    files.edit("main.py", 'cache_dir=os.environ["CACHE"]', 'cache_dir=os.environ["CACHE"], verify=os.environ["VERIFY"]')
    outcome = files.run(VERIFY="off")
    assert outcome.source == "untraced" and outcome.verified is None and not outcome.same
    outcome = files.run(VERIFY="always")
    assert outcome.source == "traced" and outcome.verified is False and outcome.same
    assert "Give cached_jit a key" in outcome.errors


REFUSED = """
array, table = jnp.ones(8), np.ones(8, "float32")
handle = open(os.devnull)


@functools.lru_cache
def remembered(n):
    return n * 2.0


def reading(x):
    with open(__file__) as file:
        return x * len(file.read())


class Gain:
    def __init__(self):
        self.value = jnp.float32(3)


gain, state = Gain(), np.random.RandomState(0)
remembered(2)
cases = {
    "global array": (lambda x: x + array, "the global array is an array"),
    "numpy array": (lambda x: x + table, "the global table is an array"),
    "array in an object": (lambda x: x * gain.value, "the global gain.value is an array"),
    "file": (reading, "opens a file"),
    "file handle": (lambda x: x + (0 if handle.closed else 1), "global handle"),
    "time": (lambda x: x + time.time(), "reads the time (time.time)"),
    "random": (lambda x: x + random.random(), "draws random numbers (random)"),
    "numpy's random": (lambda x: x + np.random.rand(), "draws random numbers (numpy.random)"),
    "entropy": (lambda x: x + os.urandom(1)[0], "draws random numbers (os.urandom)"),
    "the system": (lambda x: x + os.getpid(), "asks the system"),
    "all variables": (lambda x: x + len(dict(os.environ)), "all environment variables"),
    "a filled cache": (lambda x: x * remembered(2), "a functools cache that was filled before"),
    "a module by a text": (lambda x: x * len(__import__("random").__name__), "uses __import__"),
    "a callback": (lambda x: (jax.debug.print("x"), x * 2)[1], "calls back into Python"),
    "a static object": (None, "static argument"),
}
import random
for name, (function, reason) in cases.items():
    if function is None:
        f = jit(lambda x, lock: x, static_argnums=1)
        f(x, threading.Lock())
    else:
        f = jit(function)
        expected = function(x) if name in ("global array", "array in an object", "a filled cache") else None
        got = f(x)
        assert expected is None or np.allclose(got, expected)
        f(x)
    functions[name] = f
    assert f.reason is not None and reason in f.reason, (name, f.reason)
    assert "key" in f.reason or name == "a callback", f.reason
"""


@needs_recording
def test_what_cannot_be_proven_is_refused_with_the_reason(tmp_path):
    refused = project(tmp_path, REFUSED)
    done = refused.start()
    for _ in range(2):
        assert of_all(refused.sources(), "traced")
    assert done.stderr.count("is traced in each process: the global array is an array") == 1
    assert not list((tmp_path / "cache").rglob("*.code"))


@needs_recording
def test_a_key_answers_for_what_cannot_be_proven(tmp_path):
    text = """
array = np.full(8, float(os.environ["FILL"]), "float32")
f = functions["f"] = jit(lambda x: x + array, key=os.environ["KEY"])
print("first", float(f(x)[0]))
"""
    keyed = project(tmp_path, text)
    assert [keyed.sources(FILL="1", KEY="a")["f"] for _ in range(3)] == ["recorded", "confirmed", "untraced"]
    assert keyed.sources(FILL="2", KEY="b")["f"] == "recorded"
    # A key that was forgotten to be changed: the background finds out.
    report = keyed.reports(FILL="2", KEY="a")["f"]
    assert report["verified"] is False and report["source"] == "traced"


@needs_recording
def test_an_inner_function_that_was_traced_before_brings_its_dependencies(tmp_path):
    text = """
STRENGTH = 2.0

@jax.jit
def inner(x):
    return x * STRENGTH

def body(carry, y):
    return carry * STRENGTH, y

if os.environ["EARLY"] == "yes":
    inner(x)
    jax.lax.scan(body, 1.0, x)
f = functions["f"] = jit(lambda x: inner(x) + jax.lax.scan(body, 1.0, x)[0])
np.testing.assert_allclose(f(x), x * STRENGTH + STRENGTH**8)
"""
    early = project(tmp_path, text)
    assert early.sources(EARLY="yes")["f"] == "recorded"
    assert early.sources(EARLY="no")["f"] == "confirmed"
    assert early.sources(EARLY="yes")["f"] == "untraced"
    early.edit("main.py", "STRENGTH = 2.0", "STRENGTH = 3.0")
    assert early.sources(EARLY="yes")["f"] == "recorded"


@needs_recording
def test_one_process_alone_confirms_nothing(tmp_path):
    text = """
def f(x):
    return x + 1
for number in range(3):
    again = functions[str(number)] = jit(f)
    again(x)
"""
    alone = project(tmp_path, text)
    assert of_all(alone.sources(), "recorded")
    assert alone.sources() == {"0": "confirmed", "1": "untraced", "2": "untraced"}


@needs_recording
def test_processes_that_disagree_are_given_up(tmp_path):
    text = """
import logging
log = logging.getLogger("hiding")
log.gain = float(os.environ["HIDDEN"])  # no digest covers a logger
f = functions["f"] = jit(lambda x: x * log.gain)
assert np.allclose(f(x), x * log.gain)
"""
    hidden = project(tmp_path, text)
    seen = [hidden.sources(HIDDEN=str(number))["f"] for number in range(5)]
    assert seen == ["recorded"] * 4 + ["traced"]
    assert "processes disagree" in hidden.reports(HIDDEN="9")["f"]["reason"]


@needs_recording
def test_threads_that_call_first_at_once_trace_once(tmp_path):
    text = """
count = []
def body(x):
    print("tracing")
    return x * 3
f = functions["f"] = jit(body, verify="off")
barrier, results = threading.Barrier(8), []
def work():
    barrier.wait()
    results.append(float(f(x)[1]))
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert results == [3.0] * 8 and len(f.reports) == 1
"""
    at_once = project(tmp_path, text)
    assert [at_once.start().stdout.count("tracing") for _ in range(3)] == [1, 1, 0]


@needs_recording
def test_processes_that_call_first_at_once_agree(tmp_path):
    at_once = project(tmp_path, 'f = functions["f"] = jit(lambda x: jnp.sin(x) * 3)\nf(x)\n')
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(at_once.sources()["f"])) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(seen) == 3 and set(seen) <= {"recorded", "confirmed", "untraced"}
    assert at_once.sources()["f"] in ("confirmed", "untraced")


@pytest.fixture
def served(tmp_path):
    one = project(tmp_path, 'f = functions["f"] = jit(lambda x: x + 1)\nassert f(x)[0] == 1\n')
    assert [one.sources()["f"] for _ in range(3)] == ["recorded", "confirmed", "untraced"]
    return one


def only(folder, pattern):
    (path,) = folder.rglob(pattern)
    return path


@needs_recording
@pytest.mark.parametrize("pattern", ["*.code", "*.json"])
def test_a_damaged_file_is_dropped_and_made_anew(pattern, served):
    path = only(served.cache, pattern)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    report = served.reports()["f"]
    assert report["source"] == "recorded"
    assert pattern == "*.json" or "damaged" in report["reason"]
    path.write_bytes(b"")
    assert [served.sources()["f"] for _ in range(3)][-1] == "untraced"


@pytest.mark.parametrize("which", ["file", "folder", "store"])
@needs_recording
def test_nothing_is_read_where_others_may_write(which, served, tmp_path):
    code = only(served.cache, "*.code")
    path = {"file": code, "folder": code.parent, "store": served.cache}[which]
    path.chmod(0o777)
    report = served.reports()["f"]
    assert report["source"] == "traced" and str(path) in report["reason"], report
    path.chmod(0o600 if which == "file" else 0o700)
    assert served.sources()["f"] == "untraced"


@needs_recording
def test_a_pickle_of_somebody_else_is_not_opened(served, tmp_path):
    import hashlib

    code = only(served.cache, "*.code")
    evil = b"cos\nsystem\n(S'touch " + str(tmp_path / "opened").encode() + b"'\ntR."
    assert hashlib.blake2b(code.read_bytes(), digest_size=32).hexdigest() == code.stem
    code.write_bytes(evil)
    assert served.sources()["f"] == "recorded" and not (tmp_path / "opened").exists()
    code = only(served.cache, "*.code")
    link = code.with_name("link.code")
    code.rename(link)
    os.symlink(link, code)
    assert served.sources()["f"] in ("traced", "recorded") and not (tmp_path / "opened").exists()


@needs_recording
def test_a_cache_that_cannot_be_written_is_a_reason(tmp_path):
    (tmp_path / "cache").write_text("no folder")
    one = project(tmp_path, 'f = functions["f"] = jit(lambda x: x + 1)\nassert f(x)[0] == 1\n')
    report = one.reports()["f"]
    assert report["source"] == "traced" and "cache" in report["reason"]


@needs_recording
def test_a_folder_with_other_files_gets_a_store_in_it(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine.txt").write_text("mine")
    one = project(tmp_path, 'f = functions["f"] = jit(lambda x: x + 1)\nf(x)\n')
    assert [one.sources()["f"] for _ in range(3)][-1] == "untraced"
    assert sorted(os.listdir(tmp_path / "cache")) == ["mine.txt", "preheat-store"]
    assert preheat.Cache(tmp_path / "cache").list() == []


@needs_recording
def test_the_cache_is_cleared_with_the_rest(served):
    cache = preheat.Cache(served.cache)
    assert cache.verify()["findings"] == []
    cache.clear()
    assert not list(served.cache.rglob("*.code"))
    assert served.sources()["f"] == "recorded"


@needs_recording
def test_jaxs_own_cache_beside_it_does_no_harm(tmp_path):
    text = """
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_compilation_cache_dir", os.environ["THEIRS"])
def body(x): return jnp.sort(jnp.sin(x) @ jnp.ones((8, 8)))
if os.environ.get("WARM"): jax.jit(body)(x)
f = functions["f"] = jit(body)
got = f(x)
np.testing.assert_allclose(got, np.sort(np.sin(x) @ np.ones((8, 8))), rtol=1e-5)
"""
    beside = project(tmp_path, text)
    theirs = {"THEIRS": str(tmp_path / "theirs")}
    beside.sources(**theirs, WARM="1")
    again = Project(tmp_path / "again", tmp_path / "other", program(text))
    assert again.sources(**theirs)["f"] == "recorded"
    assert again.sources(**theirs)["f"] == "confirmed"
    assert again.sources(**theirs)["f"] == "untraced"


@needs_recording
def test_a_process_that_ends_during_the_comparison_ends_well(tmp_path):
    text = """
def slow(x):
    for _ in range(int(os.environ["ROUNDS"])):
        x = jnp.sin(x) + 1
    return x
f = jit(slow)
f(x)
if f.reports[0].source == "untraced":
    time.sleep(0.8)  # the comparison has begun
    start = time.monotonic()
    import atexit
    atexit.register(lambda: print("RESULT", json.dumps(0)))
    sys.exit(0)
"""
    ends = project(tmp_path, text)
    for _ in range(3):
        done = ends.start(ROUNDS="300")
    assert "Traceback" not in done.stderr, done.stderr


def test_bad_arguments_are_refused_in_words():
    from preheat.jax import cached_jit

    with pytest.raises(preheat.InvalidRequest, match="takes a function"):
        cached_jit(3)
    with pytest.raises(preheat.InvalidRequest, match="verify: give one of background, always, off"):
        cached_jit(len, verify="sometimes")
    with pytest.raises(preheat.InvalidRequest, match="key: give a text"):
        cached_jit(len, key=3)


def test_jax_is_imported_with_the_first_call_and_not_before():
    code = """
import sys
import preheat, preheat.jax
assert "jax" not in sys.modules
function = preheat.jax.cached_jit(lambda x: x + 1)
assert "jax" not in sys.modules and function.reports == []
assert function.__name__ == "<lambda>"
"""
    in_a_child(code)


def test_errors_of_the_function_are_those_of_jit(tmp_path):
    text = """
f = functions["f"] = jit(lambda x: x + 1)
f(x)
def failing(x):
    raise RuntimeError("of the user's")
for function, given, kind in ((failing, x, RuntimeError), (lambda x: x, "text", TypeError)):
    for make in (jax.jit, jit):
        try:
            make(function)(given)
        except kind:
            continue
        raise AssertionError(function)
"""
    expected = "recorded" if CAN_TRACE_ANEW else "traced"
    assert project(tmp_path, text).sources() == {"f": expected}


@pytest.mark.skipif(CAN_TRACE_ANEW, reason="this JAX can be made to trace anew")
def test_an_older_jax_records_nothing_and_says_so(tmp_path):
    text = 'f = functions["f"] = jit(lambda x: x + 1)\nassert f(x)[1] == 2\n'
    older = project(tmp_path, text)
    for _ in range(3):
        report = older.reports()["f"]
        assert report["source"] == "traced" and "make_user_context" in report["reason"]
    assert not (tmp_path / "cache").exists()
