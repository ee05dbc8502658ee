"""Who traces behind the caller's back? One thread of low priority, which ends with the process."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import sys
import threading
import time
from contextvars import copy_context
from collections import deque
from collections.abc import Callable

#: So long nothing new has to come before the first trace: a program that starts is left alone.
_QUIET_SECONDS = 0.5
_LAST_SECONDS = 10.0


_LOGGER = logging.getLogger("preheat.jax")


class Stopped(BaseException):
    """Raised in the thread when the process ends during a trace."""


class Background:
    """A queue of work, done one by one."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._work: deque[Callable[[], None]] = deque()
        self._is_busy = False
        self._is_ending = False
        self._in_a_hurry = False
        self._last = 0.0
        self._thread: threading.Thread | None = None

    @property
    def is_ending(self) -> bool:
        """Whether the process ends: a trace that fails now says nothing of its entry."""
        return self._is_ending

    def forked(self) -> None:
        """Begins anew in a child that was forked: the thread and the owner of the lock are gone."""
        self._change = threading.Condition()
        self._work.clear()
        self._is_busy, self._thread = False, None

    def submit(self, work: Callable[[], None]) -> None:
        """Queues work, which sees the context variables of this thread."""
        context = copy_context()
        with self._change:
            if self._is_ending:
                return
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="preheat-jax-verify", daemon=True
                )
                self._thread.start()
                atexit.unregister(self._end)
                atexit.register(self._end)
            self._work.append(lambda: context.run(work))
            self._last = time.monotonic()
            self._change.notify_all()

    def wait(self, timeout: float | None) -> bool:
        """Waits until nothing is left to do, without the quiet time. Gives whether that came."""
        if threading.current_thread() is self._thread:
            return False  # called by a function that is traced here, which would wait for itself
        with self._change:
            self._in_a_hurry = True
            self._change.notify_all()
            try:
                return self._change.wait_for(
                    lambda: (not self._work and not self._is_busy) or self._is_ending, timeout
                )
            finally:
                self._in_a_hurry = False

    def _run(self) -> None:
        if sys.platform == "linux":
            try:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
            except OSError:
                pass  # then it runs like the others
        try:
            while self._step():
                pass
        except Stopped:
            pass
        finally:
            with self._change:
                self._is_busy = False
                self._change.notify_all()

    def _step(self) -> bool:
        with self._change:
            while not self._is_due():
                if self._is_ending:
                    return False
                left = self._last + _QUIET_SECONDS - time.monotonic()
                self._change.wait(max(left, 0.01) if self._work else None)
            if self._is_ending:
                return False
            work = self._work.popleft()
            self._is_busy = True
        try:
            work()
        except Stopped:
            raise
        except BaseException:
            # Such as a warning that the user turned into an error: the thread has to go on.
            _LOGGER.exception("a comparison of cached_jit failed")
        finally:
            with self._change:
                self._is_busy = False
                self._change.notify_all()
        return True

    def _is_due(self) -> bool:
        is_quiet = time.monotonic() - self._last >= _QUIET_SECONDS
        return bool(self._work) and (self._in_a_hurry or is_quiet)

    def _end(self) -> None:
        """Ends a trace that is under way. A thread inside XLA crashes when XLA is taken down."""
        with self._change:
            thread = self._thread
            self._is_ending = True
            self._work.clear()
            self._change.notify_all()
            is_busy = self._is_busy
        if thread is None:
            return
        before = sys.unraisablehook
        # It can be raised where Python cannot pass it on; then it is raised again.
        sys.unraisablehook = lambda told: None if told.exc_type is Stopped else before(told)
        end = time.monotonic() + _LAST_SECONDS
        while thread.is_alive() and time.monotonic() < end:
            if is_busy and thread.ident is not None:
                number = ctypes.c_ulong(thread.ident)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(Stopped))
            thread.join(0.05)
        sys.unraisablehook = before


BACKGROUND = Background()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BACKGROUND.forked)
