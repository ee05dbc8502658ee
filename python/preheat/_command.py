"""Where is the `preheat` command of this package?

preheat starts it as a child to compile for hardware that is not here, and to try an executable that
an earlier process was loading when it died. It never starts `sys.executable`, which would run the
user's program again.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_NAME = "preheat.exe" if os.name == "nt" else "preheat"


def _places() -> Iterator[Path]:
    named = os.environ.get("PREHEAT_COMMAND")
    if named:
        yield Path(named)
    # The folders for commands that belong to the place where this package lies: first that of `pip
    # install --target`, then those of a venv or of the system, and of the user's own packages.
    package = Path(__file__).resolve().parent
    yield package.parent / "bin" / _NAME
    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        yield Path(sysconfig.get_path("scripts", scheme)) / _NAME
    yield Path(sys.prefix) / "bin" / _NAME
    on_path = shutil.which(_NAME)
    if on_path:
        yield Path(on_path)


def path() -> str:
    """The path of the `preheat` command, or only its name if no file is found.

    `PREHEAT_COMMAND` names another one.
    """
    for place in _places():
        if place.is_file():
            return str(place)
    return _NAME
