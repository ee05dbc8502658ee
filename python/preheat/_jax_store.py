"""Where do the entries of `cached_jit` lie, and who may have written them?

In preheat's store, in the folder `jax-v1`, which `preheat cache clear` removes with the rest:

| path | what |
|---|---|
| `jax-v1/<function>/<dependencies>.json` | what the trace depended on, and the program's digest |
| `jax-v1/<function>/<hash>.code` | the executable, named by its hash |

Both names are digests: of the function's name and its arguments, and of all that its trace depends
on. A file is written beside its place and renamed. An executable is machine code, and reading it
unpickles: nothing is read from one of these folders or files if somebody other than the user and
root owns it or may write to it. The folders above the store are not looked at.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import sys
import time
from pathlib import Path
from typing import Any

from preheat._jax_code import new_hash

FOLDER = "jax-v1"
_MARK = "OWNED-BY-PREHEAT"
_MARK_TEXT = (
    "preheat made this folder, and everything in it is preheat's: a cache of compiled graphs.\n"
    "It can be deleted. Please keep nothing of your own in it.\n"
)
_STORE = "preheat-store"
#: The most that is kept for one function and one kind of arguments, and of functions.
_MOST_VARIANTS = 64
_MOST_FUNCTIONS = 4096
_OLD_SECONDS = 86400
#: Nothing else is removed, as with `preheat cache clear`.
_OUR_NAME = re.compile(r"[0-9a-f]{64}\.(json|code|new)")
_OUR_FOLDER = re.compile(r"[0-9a-f]{64}")


class StoreRefused(Exception):
    """Why the folder cannot be used."""


class Damaged(Exception):
    """A file that is not what was written. It has been removed."""


def folder_of_cache(named: str | os.PathLike[str] | None) -> Path:
    """The folder of the cache, chosen as the rest of preheat does."""
    chosen = named or os.environ.get("PREHEAT_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "preheat"
    # A relative path is none, as the standard says.
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "preheat"


class Store:
    """The entries in one cache folder.

    All methods raise `StoreRefused` or `OSError`; `code` also raises `Damaged`.
    """

    def __init__(self, named: str | os.PathLike[str] | None) -> None:
        if not hasattr(os, "getuid"):
            raise StoreRefused("this system has no owners of files that could be checked")
        self._named = folder_of_cache(named)

    def _root(self, make: bool) -> Path | None:
        """The store's own folder. It is the one that the command line would use, too."""
        named = self._named
        inner = named / _STORE
        if (named / _MARK).exists():
            return named
        if (inner / _MARK).exists():
            return inner
        if (named / "format").exists():
            raise StoreRefused(
                f"{named} is the cache of an earlier release: run `preheat cache stats` once"
            )
        if not make:
            return None
        named.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = inner if any(named.iterdir()) or _others_write(named.stat()) else named
        root.mkdir(mode=0o700, exist_ok=True)
        if any(root.iterdir()):
            # Another process may be making it at this moment.
            if not (root / _MARK).exists():
                raise StoreRefused(f"{root} is not empty, and preheat did not make it")
        else:
            _check_folder(root)
            _write(root, _MARK, _MARK_TEXT.encode())
        return root

    def _folder(self, function: str, make: bool) -> Path | None:
        root = self._root(make)
        if root is None:
            return None
        for folder in (root, root / FOLDER, root / FOLDER / function):
            if make:
                folder.mkdir(mode=0o700, exist_ok=True)
            if not folder.is_dir():
                return None
            _check_folder(folder)
        return root / FOLDER / function

    def entries(self, function: str) -> list[dict[str, Any]]:
        """What is recorded for a function: the newest first. Damaged files are removed."""
        folder = self._folder(function, make=False)
        if folder is None:
            return []
        found = []
        for name in (path.name for path in _ours(folder, "json")):
            try:
                content, changed = _read(folder / name)
                entry = _parse(content, name)
            except FileNotFoundError:
                continue
            except Damaged:
                _remove(folder / name)
                continue
            found.append((changed, entry))
        found.sort(key=lambda pair: pair[0], reverse=True)
        return [entry for _, entry in found]

    def code(self, function: str, name: str) -> bytes:
        """The executable of that name, if its bytes still have that hash."""
        folder = self._folder(function, make=False)
        if folder is None:
            raise FileNotFoundError(name)
        path = folder / f"{name}.code"
        content, _ = _read(path)
        if _hash(content) != name:
            _remove(path)
            raise Damaged(f"{path} was damaged and has been removed")
        return content

    def put_code(self, function: str, content: bytes) -> str:
        folder = self._folder(function, make=True)
        assert folder is not None
        name = _hash(content)
        _write(folder, f"{name}.code", content)
        return name

    def put(self, function: str, entry: dict[str, Any]) -> None:
        folder = self._folder(function, make=True)
        assert folder is not None
        body = json.dumps(entry, sort_keys=True)
        text = json.dumps({"hash": _hash(body.encode()), "entry": body})
        _write(folder, f"{entry['dependencies']}.json", text.encode())
        self._bound(folder)

    def drop(self, function: str, entry: dict[str, Any]) -> None:
        folder = self._folder(function, make=False)
        if folder is not None:
            _remove(folder / f"{entry['dependencies']}.json")
            self._sweep(folder)

    def _bound(self, folder: Path) -> None:
        """Removes what is oldest, so that edits do not fill the disk."""
        entries = sorted(_ours(folder, "json"), key=_changed, reverse=True)
        for path in entries[_MOST_VARIANTS:]:
            _remove(path)
        if len(entries) > _MOST_VARIANTS:
            self._sweep(folder)
        functions = [
            path
            for path in folder.parent.iterdir()
            if _OUR_FOLDER.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
        ]
        if len(functions) > _MOST_FUNCTIONS:
            functions.sort(key=_changed)
            for old in functions[: len(functions) - _MOST_FUNCTIONS]:
                if old != folder:
                    for path in _ours(old, "json", "code", "new"):
                        _remove(path)
                    _remove_folder(old)

    def _sweep(self, folder: Path) -> None:
        """Removes executables that no entry names."""
        named = set()
        for path in _ours(folder, "json"):
            try:
                named.add(_parse(_read(path)[0], path.name).get("code"))
            except (OSError, Damaged, StoreRefused):
                continue
        for path in _ours(folder, "code"):
            if path.stem not in named:
                _remove(path)
        for path in _ours(folder, "new"):
            if _changed(path) < time.time() - _OLD_SECONDS:
                _remove(path)  # of a process that was killed


def _ours(folder: Path, *kinds: str) -> list[Path]:
    """The files of some kinds that have names of entries."""
    names = [name for name in os.listdir(folder) if _OUR_NAME.fullmatch(name)]
    return [folder / name for name in names if name.rpartition(".")[2] in kinds]


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        outer = json.loads(content)
        if _hash(outer["entry"].encode()) != outer["hash"]:
            raise Damaged(name)
        entry: dict[str, Any] = json.loads(outer["entry"])
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise Damaged(name) from cause
    if not isinstance(entry, dict) or f"{entry.get('dependencies')}.json" != name:
        raise Damaged(name)
    return entry


def _hash(content: bytes) -> str:
    total = new_hash()
    total.update(content)
    return str(total.hexdigest())


def _others_write(status: os.stat_result) -> bool:
    """Whether somebody else may write. An access list that lets others shows as the group's."""
    return bool(status.st_mode & 0o022) or status.st_uid not in (os.getuid(), 0)


def _check_folder(path: Path) -> None:
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise StoreRefused(f"{path} is not a folder")
    if _others_write(status):
        raise StoreRefused(
            f"{path} belongs to somebody else, or others may write to it: what lies there runs as "
            f"you, so give it mode 0700, or name another folder with PREHEAT_CACHE_DIR"
        )


def _read(path: Path) -> tuple[bytes, float]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or _others_write(status):
            raise StoreRefused(f"{path} may be written by others: remove it")
        return file.read(), status.st_mtime


def _write(folder: Path, name: str, content: bytes) -> None:
    # `preheat cache clear` knows such a name, too.
    temporary = folder / f"{secrets.token_hex(32)}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, folder / name)
    except BaseException:
        _remove(temporary)
        raise


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass  # another process was faster, or it stays


def _remove_folder(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        pass
