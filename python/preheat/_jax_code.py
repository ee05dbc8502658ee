"""Which code decides what a trace gives? Whose it is, and a digest of it that ignores layout.

The digest of a code object covers its instructions, the constants that they load, its names, its
arguments and the code in it. Line numbers, the file's name, comments and the docstring are left
out, so that moving a function, or describing it better, keeps its entries.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from opcode import EXTENDED_ARG, hasconst, opmap
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import Distribution

USER = "user"
STDLIB = "stdlib"
OURS = "preheat"

_HAS_CONST = frozenset(hasconst)
_LOAD_GLOBAL = opmap["LOAD_GLOBAL"]
_IMPORT = opmap["IMPORT_NAME"]
_HAS_DOCSTRING = 0x4000000  # a flag of newer releases
_LOADS_OF_NAMES = frozenset(opmap[name] for name in ("LOAD_NAME",) if name in opmap)
# Since Python 3.11, the lowest bit of the argument says something else.
_GLOBAL_SHIFT = 1 if sys.version_info >= (3, 11) else 0


def new_hash() -> Any:
    """The hash that is used throughout: as strong as SHA-256, and faster."""
    return hashlib.blake2b(digest_size=32)


def hash_of(*parts: bytes | str) -> str:
    """The digest of some parts, each framed by its length."""
    total = new_hash()
    for part in parts:
        part = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        total.update(b"%d:" % len(part))
        total.update(part)
    return str(total.hexdigest())


@dataclass(frozen=True)
class CodeFacts:
    """What of a code object counts."""

    digest: str
    #: Global names that it or code in it loads.
    global_names: frozenset[str]
    #: All names and identifiers in texts of it and of code in it: attributes it may ask for.
    used_names: frozenset[str]
    #: The digests of code in it, at any depth.
    inner: frozenset[str]
    #: Modules that it or code in it imports, as they are written there.
    imports: frozenset[str]


_FACTS: dict[int, tuple[CodeType, CodeFacts]] = {}


def facts_of(code: CodeType) -> CodeFacts:
    """The facts of a code object, which are computed once per process."""
    known = _FACTS.get(id(code))
    if known is not None and known[0] is code:
        return known[1]
    facts = _read(code)
    _FACTS[id(code)] = (code, facts)
    return facts


def _read(code: CodeType) -> CodeFacts:
    # An argument that selects a constant is an index, which moves when a docstring comes or goes.
    # So the constants themselves are taken, in the order in which they are loaded.
    instructions = bytearray(code.co_code)
    constants: list[bytes] = []
    global_names: set[str] = set()
    used: set[str] = {*code.co_names}
    inner: set[str] = set()
    imports: set[str] = set()
    high = 0
    for at in range(0, len(instructions), 2):
        operation, argument = instructions[at], instructions[at + 1] | high
        if operation == EXTENDED_ARG:
            high = argument << 8
            continue
        if operation in _HAS_CONST:
            instructions[at + 1] = 0
            if high:
                instructions[at - 1] = 0
            value = code.co_consts[argument]
            constants.append(_constant(value))
            _names_in(value, used)
            if isinstance(value, CodeType):
                nested = facts_of(value)
                global_names |= nested.global_names
                used |= nested.used_names
                inner |= {nested.digest, *nested.inner}
                imports |= nested.imports
        elif operation == _LOAD_GLOBAL:
            global_names.add(code.co_names[argument >> _GLOBAL_SHIFT])
        elif operation == _IMPORT:
            imports.add(code.co_names[argument])
        elif operation in _LOADS_OF_NAMES:
            global_names.add(code.co_names[argument])
        high = 0
    shape = (
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount,
        code.co_flags & ~_HAS_DOCSTRING,
        code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
    )  # fmt: skip
    table: bytes = getattr(code, "co_exceptiontable", b"")
    digest = hash_of(code.co_name, repr(shape), bytes(instructions), table, *constants)
    sets = (frozenset(found) for found in (global_names, used, inner, imports))
    return CodeFacts(digest, *sets)


def _constant(value: Any) -> bytes:
    if isinstance(value, CodeType):
        return b"code " + facts_of(value).digest.encode()
    if isinstance(value, tuple):
        return b"tuple " + hash_of(*[_constant(item) for item in value]).encode()
    if isinstance(value, frozenset):
        return b"set " + hash_of(*sorted(_constant(item) for item in value)).encode()
    text = value.hex() if isinstance(value, float) else repr(value)
    return f"{type(value).__name__} {text}".encode("utf-8", "surrogatepass")


def _names_in(value: Any, names: set[str]) -> None:
    """Texts that could name an attribute: the argument of `getattr`, the names of keywords."""
    if isinstance(value, str) and value.isidentifier():
        names.add(value)
    elif isinstance(value, tuple):
        for item in value:
            _names_in(item, names)


_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_STDLIB = tuple(
    os.path.join(os.path.realpath(path), "")
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    if path
)
_OUR_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")


@cache
def owner_of_file(name: str) -> str | None:
    """Whose a source file is: `USER`, `STDLIB`, `OURS`, or the name of an installed package.

    `None` for code without a file, such as what `exec` made.
    """
    if name.startswith("<frozen"):
        return STDLIB
    if name.startswith("<"):
        return None
    path = os.path.abspath(name)
    if path.startswith(_OUR_FOLDER):
        return OURS
    folders = path.split(os.sep)
    for at in range(len(folders) - 1, 0, -1):
        if folders[at - 1] in _PACKAGE_FOLDERS:
            top = folders[at].split(".")[0]
            if top == "_distutils_hack":
                return STDLIB  # a hook of setuptools that each import passes
            # What lies there and belongs to no package has no version: it is the user's.
            return top if version_of(top) is not None else USER
    return STDLIB if os.path.realpath(path).startswith(_STDLIB) else USER


def owner_of_module(name: Any) -> str:
    """Whose a module is, by its name."""
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None:
        return USER
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return owner_of_file(file) or USER
    if name.split(".")[0] in sys.stdlib_module_names:
        return STDLIB if name != "__main__" else USER
    paths = list(getattr(module, "__path__", ()))  # a namespace package has no file
    return (owner_of_file(os.path.join(paths[0], "_")) if paths else None) or USER


def owner_of_code(code: CodeType, its_globals: dict[str, Any]) -> str:
    """Whose a function is. What `exec` made belongs to the module whose globals it has."""
    owner = owner_of_file(code.co_filename)
    if owner is not None:
        return owner
    name = its_globals.get("__name__")
    # What `collections.namedtuple` makes only puts its arguments into a tuple.
    return STDLIB if str(name).startswith("namedtuple_") else owner_of_module(name)


@cache
def version_of(package: str) -> str | None:
    """The version of an installed package, by the name that it is imported under."""
    from importlib import metadata

    module: ModuleType | None = sys.modules.get(package)
    version = getattr(module, "__version__", None)
    try:
        installed = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        pass
    else:
        own = version if isinstance(version, str) else installed.version
        return own + _content_of(installed)
    if isinstance(version, str):
        return version
    # The slow way, for packages with another name than their module's.
    names = sorted(set(metadata.packages_distributions().get(package, ())))
    return " ".join(f"{name} {_version_by_name(name)}" for name in names) or None


def _version_by_name(name: str) -> str:
    from importlib import metadata

    installed = metadata.distribution(name)
    return installed.version + _content_of(installed)


def _content_of(installed: Distribution) -> str:
    """What tells apart builds of one version, if it comes from a folder or a repository.

    Such a package is often installed again without another version. An index has each version once.
    """
    origin = installed.read_text("direct_url.json")
    if origin is None:
        return ""
    # The record has a hash of each file.
    return "+" + hash_of(origin, installed.read_text("RECORD") or "")[:16]


def has_version(package: str, recorded: str | None) -> bool:
    """Whether an installed package has a version that was recorded, without the slow way."""
    from importlib import metadata

    words = (recorded or "").split(" ")
    if len(words) < 2 or package in sys.modules:
        return version_of(package) == recorded
    try:
        pairs = zip(words[::2], words[1::2], strict=True)
        return all(_version_by_name(name) == version for name, version in pairs)
    except (metadata.PackageNotFoundError, ValueError):
        return False
