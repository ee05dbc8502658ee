"""What did a trace run and read? Recorded while it runs, on its own thread.

Code objects that ran come from `sys.monitoring` on Python 3.12 and later, and from
`sys.setprofile` before. Environment variables are seen where `os.environ` is read. Files, sockets
and processes are seen by an audit hook. Random numbers of the process's own generators are seen by
their state.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import CodeType, FrameType
from typing import Any

from preheat._jax_code import OURS, STDLIB, USER, facts_of, hash_of, owner_of_code

_TRUSTED = frozenset({"jax", "jaxlib", OURS})
#: Functions of the system's module whose answer depends on nothing outside the process.
_PURE = frozenset({"fspath", "fsencode", "fsdecode", "getenv"})
_SYSTEM = frozenset({"posix", "nt"})
_STARTERS = ("start_new_thread", "start_joinable_thread", "_start_joinable_thread")
_EVENTS = {
    "open": "opens a file",
    "os.listdir": "lists a folder",
    "os.scandir": "lists a folder",
    "os.system": "starts a process",
    "subprocess.Popen": "starts a process",
    "socket.connect": "uses the network",
}
_READERS_OF_SOURCE = ("linecache.py", "tokenize.py", "inspect.py", "traceback.py", "warnings.py")
#: Functions that find what they give by a text, so that the walk does not see what it is.
_BY_TEXT = frozenset({"eval", "exec", "globals", "__import__"})
_IMPORT_MODULE = importlib.import_module.__code__
#: What they call listens, and gives nothing to the trace.
_CALLERS_OF_LISTENERS = tuple(
    os.path.join(*parts) for parts in (("jax", "_src", "monitoring.py"), ("logging", "__init__.py"))
)
#: One recording at a time: the hooks are the process's.
_LOCK = threading.RLock()


class Recording:
    """What one trace ran and read."""

    def __init__(self) -> None:
        #: Code of the user's, and the name of the module whose globals it ran with.
        self.codes: dict[CodeType, str] = {}
        #: Installed packages of which something ran.
        self.packages: set[str] = set()
        #: Modules that the user's code imported by a text.
        self.imported: set[str] = set()
        #: Environment variables that were read, and digests of their values.
        self.variables: dict[str, str | None] = {}
        #: What cannot be repeated, in words.
        self.impure: list[str] = []
        self._thread = threading.get_ident()

    def mine(self) -> bool:
        return threading.get_ident() == self._thread

    def note(self, what: str) -> None:
        if what not in self.impure:
            self.impure.append(what)

    def saw_code(self, code: CodeType, frame: FrameType) -> bool:
        """Gives whether another call of the code has nothing new to say."""
        owner = owner_of_code(code, frame.f_globals)
        caller = frame.f_back
        if code is _IMPORT_MODULE and caller:
            if owner_of_code(caller.f_code, caller.f_globals) == USER:
                self._saw_import(**frame.f_locals)
            return False
        if owner == USER:
            if caller and caller.f_code.co_filename.endswith(_CALLERS_OF_LISTENERS):
                return False
            if code.co_name != "<module>" and code not in self.codes:
                self.codes[code] = str(frame.f_globals.get("__name__"))
        elif owner not in (STDLIB, OURS):
            self.packages.add(owner)
        return True

    def _saw_import(self, name: Any = None, package: Any = None, **_other: Any) -> None:
        try:
            self.imported.add(importlib.util.resolve_name(name, package))
        except Exception:
            pass  # the import fails in the same way

    def saw_call(self, called: Any, frame: FrameType) -> None:
        """A call of a function that is not written in Python, by the code of a frame."""
        caller, its_globals = frame.f_code, frame.f_globals
        module = getattr(called, "__module__", None)
        name = getattr(called, "__name__", "")
        if module == "builtins":
            if name in _BY_TEXT and owner_of_code(caller, its_globals) == USER:
                self.note(f"it uses {name}, which can reach anything, while it is traced")
            return
        if module in _SYSTEM and name == "urandom":
            if owner_of_code(caller, its_globals) not in _TRUSTED:
                self.note("it draws random numbers (os.urandom) while it is traced")
            return
        clock = module == "time" or (
            name in ("now", "utcnow", "today")
            and str(getattr(called, "__self__", "")).startswith("<class 'datetime.")
        )
        system = (module in _SYSTEM and name not in _PURE) or name in _STARTERS
        # The system is also asked for the user by Python's library, as `os.path.exists` does.
        if clock and owner_of_code(caller, its_globals) == USER or system and _by(frame) == USER:
            what = "reads the time" if clock else "asks the system"
            self.note(f"it {what} ({module or 'datetime'}.{name}) while it is traced")

    def saw_event(self, event: str, frame: FrameType | None) -> None:
        if _by(frame) not in (None, *_TRUSTED):
            self.note(f"it {_EVENTS[event]} while it is traced")

    def names(self) -> set[str]:
        """All names that the user's code that ran may ask for."""
        return {name for code in self.codes for name in facts_of(code).used_names}

    def ran(self) -> set[str]:
        """Digests of the user's code that ran, and of the code in it."""
        digests: set[str] = set()
        for code in self.codes:
            digests.add(facts_of(code).digest)
        return digests


def _by(frame: FrameType | None) -> str | None:
    """For whom Python's library does something; `None` if for itself, such as for an import."""
    while frame is not None:
        name = frame.f_code.co_filename
        owner = owner_of_code(frame.f_code, frame.f_globals)
        if owner == USER and _is_of_an_import(frame):
            return None  # what it gives is a value of that module, and counts where it is used
        if owner != STDLIB:
            return owner
        file = os.path.basename(name)
        if name.startswith("<frozen importlib") or name.endswith(_CALLERS_OF_LISTENERS):
            return None
        if file in _READERS_OF_SOURCE:
            return None
        frame = frame.f_back
    return None


def _is_of_an_import(frame: FrameType | None) -> bool:
    """Whether code runs because a module is imported by the trace."""
    while frame is not None and owner_of_code(frame.f_code, frame.f_globals) not in _TRUSTED:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


class CannotRecord(Exception):
    """Why nothing can be recorded now."""


@contextmanager
def record() -> Iterator[Recording]:
    """Records what runs on this thread."""
    with _LOCK, ExitStack() as hooks:
        if any(other.mine() for other in _AUDITED):
            # The function that is recorded calls another one outside of its trace.
            raise CannotRecord("it was called first while another function was recorded")
        recording = Recording()
        hooks.enter_context(_environment(recording))
        hooks.enter_context(_audited(recording))
        hooks.enter_context(_generators(recording))
        watch = _monitored if hasattr(sys, "monitoring") else _profiled
        hooks.enter_context(watch(recording))
        yield recording


@contextmanager
def _profiled(recording: Recording) -> Iterator[None]:
    if sys.getprofile() is not None:
        raise CannotRecord("a profiler runs on this thread")

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            recording.saw_code(frame.f_code, frame)
        elif event == "c_call":
            recording.saw_call(argument, frame)

    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def _monitored(recording: Recording) -> Iterator[None]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    tool = next((number for number in (3, 4) if monitoring.get_tool(number) is None), None)
    if tool is None:
        raise CannotRecord("no tool number of sys.monitoring is free")
    events = monitoring.events

    def started(code: CodeType, _offset: int) -> Any:
        if not recording.mine():
            return None
        return monitoring.DISABLE if recording.saw_code(code, sys._getframe(1)) else None

    def called(_code: CodeType, _offset: int, function: Any, _first: Any) -> Any:
        if not recording.mine():
            return None
        if not isinstance(function, type) and not hasattr(function, "__code__"):
            recording.saw_call(function, sys._getframe(1))
        return None

    monitoring.use_tool_id(tool, "preheat")
    try:
        monitoring.register_callback(tool, events.PY_START, started)
        monitoring.register_callback(tool, events.CALL, called)
        monitoring.set_events(tool, events.PY_START | events.CALL)
        monitoring.restart_events()
        yield
    finally:
        monitoring.set_events(tool, 0)
        for event in (events.PY_START, events.CALL):
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)


@contextmanager
def _environment(recording: Recording) -> Iterator[None]:
    """Notes each variable that is asked for, whether or not it is set."""
    kind: Any = type(os.environ)
    get, iterate = kind.__getitem__, kind.__iter__

    def getting(self: Any, name: Any) -> Any:
        if recording.mine() and isinstance(name, str):
            recording.variables[name] = digest_of_variable(get, name)
        return get(self, name)

    def iterating(self: Any) -> Any:
        if recording.mine():
            recording.note("it reads all environment variables while it is traced")
        return iterate(self)

    kind.__getitem__, kind.__iter__ = getting, iterating
    try:
        yield
    finally:
        kind.__getitem__, kind.__iter__ = get, iterate


def digest_of_variable(get: Callable[[Any, str], str], name: str) -> str | None:
    """A digest, since the value may be a secret. `None` if the variable is not set."""
    try:
        return hash_of(get(os.environ, name))
    except KeyError:
        return None


#: The recording that runs.
_AUDITED: list[Recording] = []
_IS_AUDITING = False


def _forked() -> None:
    """A thread that is not in the child may have held the lock."""
    global _LOCK
    if not any(recording.mine() for recording in _AUDITED):
        _LOCK = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


@contextmanager
def _audited(recording: Recording) -> Iterator[None]:
    global _IS_AUDITING
    if not _IS_AUDITING:
        # A hook cannot be taken away again: it does nothing while nothing is recorded.
        sys.addaudithook(_audit)
        _IS_AUDITING = True
    _AUDITED.append(recording)
    try:
        yield
    finally:
        _AUDITED.remove(recording)


def _audit(event: str, _arguments: Any) -> None:
    if not _AUDITED or event not in _EVENTS:
        return
    for recording in _AUDITED:
        if recording.mine():
            recording.saw_event(event, sys._getframe(1))


@contextmanager
def _generators(recording: Recording) -> Iterator[None]:
    """Notes whether the generators of `random` and `numpy.random` were drawn from."""
    before = _states()
    yield
    for name, state in _states().items():
        if name in before and before[name] != state:
            recording.note(f"it draws random numbers ({name}) while it is traced")


def _states() -> dict[str, Any]:
    states: dict[str, Any] = {}
    if "random" in sys.modules:
        states["random"] = sys.modules["random"].getstate()
    legacy = getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)
    if legacy is not None:
        state = legacy.get_state(legacy=False)
        states["numpy.random"] = (state["state"]["key"].tobytes(), state["state"]["pos"])
    return states
