"""When is an entry served, and when is it recorded, confirmed, compared or dropped?

| the store has | what happens |
|---|---|
| nothing that fits | the function is traced and recorded |
| an entry of one process | it is traced; the same program confirms it, another one replaces it |
| an entry that two processes agree on | it is loaded, and compared with a trace in the background |

An entry fits if the walk over the function (`_jax_values`), with the code that ran when it was
recorded, gives the digest that it has, and if the versions and variables are those of then.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from preheat import _jax_program as program
from preheat._jax_background import BACKGROUND
from preheat._jax_code import has_version, hash_of, version_of
from preheat._jax_extras import missing, resolve, ways_to
from preheat._jax_call import Call, OfTheFunction, Slot, Statics
from preheat._jax_call import describe, digest_of_call, is_inside_a_trace
from preheat._jax_names import address_of, name_of
from preheat._jax_program import NotRecorded, Program
from preheat._jax_record import CannotRecord, Recording, digest_of_variable, record
from preheat._jax_report import Report, Verify, tell, warn
from preheat._jax_store import Store, StoreRefused
from preheat._jax_values import Walk, imported

#: Which process this is. A child that was forked is the same one: it has seen the same trace.
_PROCESS = secrets.token_hex(16)
#: After so many processes that disagreed, a function is given up.
_MOST_DISAGREEMENTS = 3
Entry = dict[str, Any]


class Entries:
    """A function and its entries."""

    def __init__(
        self,
        function: Callable[..., Any],
        key: str | None,
        verify: Verify,
        cache_dir: Path | None,
        options: dict[str, Any],
    ) -> None:
        import jax

        self.jitted = jax.jit(function, **options)
        self.reports: list[Report] = []
        self._function = function
        self._key = key
        self._verify = verify
        self._cache_dir = cache_dir
        self._options = options
        self._statics = Statics(function, options)
        self._slots: dict[Any, Slot] = {}
        self._lock = threading.Lock()
        self._name = name_of(function)
        try:
            program.prepare_fresh()
        except NotRecorded:
            pass  # said when something is to be recorded

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = describe(self._statics, args, kwargs)
        if call is None or is_inside_a_trace():
            return self.jitted(*args, **kwargs)
        try:
            key = call.memory_key()
            slot = self._slots.get(key)
        except TypeError:
            # A static argument has no hash: `jax.jit` says so.
            return self.jitted(*args, **kwargs)
        if slot is None:
            with self._lock:
                slot = self._slots.setdefault(key, Slot())
        if not slot.is_open:
            with slot.lock:
                if slot.is_opening:
                    # What is traced, or a module that is imported for it, calls the function.
                    return self.jitted(*args, **kwargs)
                if not slot.is_open:
                    slot.is_opening = True
                    try:
                        self._open(slot, call)
                        slot.is_open = True
                    finally:
                        slot.is_opening = False
        compiled = slot.compiled
        if compiled is None:
            return self.jitted(*args, **kwargs)
        try:
            return compiled(*call.dynamic_args, **call.dynamic_kwargs)
        except (TypeError, ValueError):
            # The executable does not take these arguments, as an array of another layout.
            if program.is_any_deleted(call.dynamic_args, call.dynamic_kwargs):
                raise
            return self.jitted(*args, **kwargs)

    def _open(self, slot: Slot, call: Call) -> None:
        report = Report("traced")
        failed = OfTheFunction()
        try:
            Opening(self, call, report, slot, failed).run()
        except (NotRecorded, CannotRecord, StoreRefused) as refused:
            self._not_kept(report, str(refused))
        except OSError as cause:
            if cause is failed.cause:
                raise
            self._not_kept(report, f"the cache cannot be used: {cause}")
        except Exception as cause:
            # Whatever fails besides the function itself leaves the call to `jax.jit`.
            if cause is failed.cause:
                raise
            self._not_kept(report, f"preheat failed: {cause!r}")
        self.reports.append(report)

    def _not_kept(self, report: Report, reason: str) -> None:
        report.reason = reason
        tell(f"{self._name} is traced in each process: {reason}")


class Opening:
    """The first call with one kind of arguments."""

    def __init__(
        self, entries: Entries, call: Call, report: Report, slot: Slot, failed: OfTheFunction
    ) -> None:
        self.entries = entries
        self.failed = failed
        # Without the values, which the background would hold for longer than the caller.
        self.call = call.without_values()
        self.report = report
        self.slot = slot
        self.store = Store(entries._cache_dir)
        walk = Walk(frozenset(), entries._key)
        self.environment = program.digest_of_environment(walk)
        function = entries._function
        self.place = hash_of(
            address_of(function),
            digest_of_call(call, walk),
            walk.digest(entries._options, "an option of cached_jit"),
            entries._key or "",
        )
        if walk.unproven:
            raise NotRecorded(_refusal(walk.unproven))

    def run(self) -> None:
        entry = self._fitting()
        if entry is None:
            self._record(0)
        elif entry["disagreed"] >= _MOST_DISAGREEMENTS:
            raise NotRecorded(
                "processes disagree on the program, although nothing that is recorded differs: "
                "find what changes, or give a key"
            )
        elif not entry["confirmed"]:
            self._confirm(entry)
        elif self.entries._verify == "always":
            self._compare_first(entry)
        else:
            self._serve(entry)

    def _fitting(self) -> Entry | None:
        for entry in self.store.entries(self.place):
            try:
                if self._dependencies(entry) == entry["dependencies"]:
                    return entry
            except (KeyError, TypeError, AttributeError):
                continue  # written by another release
        return None

    def _dependencies(self, entry: Entry) -> str | None:
        """The digest of what the entry depends on, as it is now."""
        for package, version in entry["packages"].items():
            if not has_version(package, version):
                return None
        get = type(os.environ).__getitem__
        for name, digest in entry["variables"].items():
            if digest_of_variable(get, name) != digest:
                return None
        for name in entry["modules"]:
            # Before the walk, since a module appears in its package once it is imported.
            imported(name)
        ran, modules, names = (frozenset(entry[name]) for name in ("ran", "modules", "names"))
        return self._digest(Walk(ran, self.entries._key, modules, names), entry)

    def _digest(self, walk: Walk, entry: Entry) -> str:
        parts = [self.environment, walk.digest(self.entries._function, self.entries._name)]
        parts.append(digest_of_call(self.call, walk))
        for way in entry["extras"]:
            parts.append(walk.digest(resolve(way), ".".join(way)))
        parts += [f"{name} {version}" for name, version in sorted(entry["packages"].items())]
        parts += [f"{name} {digest}" for name, digest in sorted(entry["variables"].items())]
        return hash_of(*parts)

    def _serve(self, entry: Entry) -> None:
        try:
            content = self.store.code(self.place, entry["code"])
            compiled = program.load(content, self.call, entry["targets"])
        except (StoreRefused, NotRecorded):
            raise
        except Exception as cause:
            # A damaged file, or an executable that this device does not take.
            self.store.drop(self.place, entry)
            self.report.reason = f"the entry was dropped: {cause}"
            tell(f"{self.entries._name}: {self.report.reason}")
            self._record(0)
            return
        self.slot.compiled = self._guarded(compiled, entry)
        self.report.source = "untraced"
        if self.entries._verify == "background":
            contexts = program.Contexts.here()
            BACKGROUND.submit(lambda: self._compare_later(entry, contexts))

    def _guarded(self, compiled: Any, entry: Entry) -> Any:
        """Uses `jax.jit` instead if the executable fails at its first call."""

        def first(*args: Any, **kwargs: Any) -> Any:
            try:
                result = compiled(*args, **kwargs)
            except (TypeError, ValueError, RuntimeError) as cause:
                if program.is_any_deleted(args, kwargs):
                    raise
                self.slot.compiled = None
                self._drop(entry)
                self.report.source = "traced"
                self.entries._not_kept(self.report, f"its executable failed: {cause}")
                whole, named = self.entries._statics.join(self.call, args, kwargs)
                return self.entries.jitted(*whole, **named)
            if self.slot.compiled is first:
                self.slot.compiled = compiled
            return result

        return first

    def _lower(self) -> Program:
        try:
            return program.trace_and_lower(self.entries.jitted, self.entries._statics, self.call)
        except BaseException as cause:
            self.failed.cause = cause
            raise

    def _confirm(self, entry: Entry) -> None:
        traced = self._lower()
        if traced.digest != entry["program"]:
            self._record(entry["disagreed"] + (entry["recorder"] != _PROCESS))
            return
        try:
            content = self.store.code(self.place, entry["code"])
            compiled = program.load(content, self.call, entry["targets"])
            self.slot.compiled = self._guarded(compiled, entry)
        except (StoreRefused, NotRecorded):
            raise
        except Exception:
            self.store.drop(self.place, entry)
            self._record(0)
            return
        self.report.source = "recorded"
        if entry["recorder"] != _PROCESS:
            self.store.put(self.place, {**entry, "confirmed": True})
            self.report.source = "confirmed"

    def _compare_first(self, entry: Entry) -> None:
        traced = self._lower()
        if traced.digest == entry["program"]:
            self._serve(entry)
            self.report.verified = True
        else:
            self._differs(entry)
            self.slot.compiled = traced.lowered.compile()

    def _compare_later(self, entry: Entry, contexts: program.Contexts) -> None:
        """Runs on the background thread."""
        try:
            with contexts.entered() as is_whole:
                if not is_whole:
                    self.report.reason = "not compared: a context of the call cannot be repeated"
                    tell(f"{self.entries._name}: {self.report.reason}")
                    return
                traced = self._lower()
                if traced.digest == entry["program"]:
                    self.report.verified = True
                    return
                self._differs(entry)
                self.slot.compiled = traced.lowered.compile()
                self.report.source = "traced"
        except Exception as cause:
            if BACKGROUND.is_ending:
                return  # the end of the process stopped the trace
            # What cannot be traced any more must not be served either.
            self.report.verified = False
            self.slot.compiled = None
            self.report.source = "traced"
            self._drop(entry)
            warn(f"{self.entries._name} was served from preheat's cache, and its trace fails now: "
                 f"{cause!r}. The entry is dropped.")  # fmt: skip

    def _differs(self, entry: Entry) -> None:
        self.report.verified = False
        self.report.reason = "the entry gave another program than the trace"
        self._drop(entry)
        warn(
            f"{self.entries._name}: the program in preheat's cache is not the one that a trace "
            f"gives now, and nothing that is recorded differs. The entry is dropped, and the "
            f"traced program is used from the next call on. Give cached_jit a key that changes "
            f"with what the function reads, and check results of this process"
        )

    def _drop(self, entry: Entry) -> None:
        try:
            self.store.drop(self.place, entry)
        except (OSError, StoreRefused) as cause:
            tell(f"{self.entries._name}: an entry cannot be dropped: {cause}")

    def _record(self, disagreed: int) -> None:
        """Traces, and records what the trace depended on."""
        with record() as recording, program.traced_anew():
            traced = self._lower()
        entry, refusal = self._entry(recording, traced, disagreed)
        try:
            if refusal is not None:
                raise NotRecorded(refusal)
            program.refuse_what_is_bound_to_the_process(traced)
            compiled, content = program.compile_for_keeping(traced, self.call)
        except NotRecorded:
            # The trace is not made a second time.
            self.slot.compiled = traced.lowered.compile()
            raise
        self.slot.compiled = compiled
        same = [
            other
            for other in self.store.entries(self.place)
            if other["dependencies"] == entry["dependencies"] and other["program"] == traced.digest
        ]
        if same and same[0]["recorder"] != _PROCESS:
            # Another process recorded it meanwhile.
            self.store.put(self.place, {**same[0], "confirmed": True})
            self.report.source = "confirmed"
            return
        entry["code"] = self.store.put_code(self.place, content)
        self.store.put(self.place, entry)
        self.report.source = "recorded"

    def _entry(
        self, recording: Recording, traced: Program, disagreed: int
    ) -> tuple[Entry, str | None]:
        ran = recording.ran()
        entry: Entry = {
            "name": self.entries._name,
            "ran": sorted(ran),
            "names": sorted(recording.names()),
            "extras": [],
            "packages": {name: version_of(name) for name in sorted(recording.packages)},
            "variables": dict(sorted(recording.variables.items())),
            "program": traced.digest,
            "targets": list(traced.targets),
            "recorder": _PROCESS,
            "confirmed": False,
            "disagreed": disagreed,
        }
        extras: list[list[str]] = [[name] for name in sorted(recording.imported)]
        while True:
            walk = Walk(ran, self.entries._key, None, recording.names())
            entry["extras"] = extras
            entry["dependencies"] = self._digest(walk, entry)
            entry["modules"] = sorted(walk.imported)
            left = missing(recording.codes, walk.covered)
            found = ways_to(left, recording.codes, extras)
            if not found:
                break
            extras = sorted([*extras, *found])
        reasons = [] if self.entries._key is not None else list(recording.impure)
        reasons += walk.unproven
        reasons += [
            f"{code.co_name} ({os.path.basename(code.co_filename)}, line {code.co_firstlineno}) of "
            f"{recording.codes[code]} ran while it was traced, and is not found from it"
            for code in left
            if self.entries._key is None
        ]
        return entry, _refusal(reasons) if reasons else None


def _refusal(reasons: list[str]) -> str:
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}; give a key that changes with it"
