"""With which of preheat's flags was ComfyUI started?

ComfyUI refuses flags that it does not know. `preheat comfyui -- python main.py --tpu-manual-warmup`
takes preheat's flags out of the command, and passes them on in the variable
`PREHEAT_COMFYUI_FLAGS`, as a shell would write them. Without that command, the variable can be set
by hand.
"""

from __future__ import annotations

import argparse
import os
import shlex
from typing import NoReturn

import preheat

VARIABLE = "PREHEAT_COMFYUI_FLAGS"


class BadFlags(ValueError):
    """The variable has flags that preheat does not know, or values that they cannot have."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises an error. One of argparse's own would end ComfyUI."""

    def error(self, message: str) -> NoReturn:
        raise BadFlags(f"correct the variable {VARIABLE}: {message}")


def parsed(text: str) -> preheat.RuntimeOptions:
    """The flags in a text, with the values that they have on preheat's own command line."""
    parser = _Parser(prog=VARIABLE, add_help=False, allow_abbrev=False)
    preheat.add_arguments(parser)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadFlags(f"correct the variable {VARIABLE}: {error}") from None
    return preheat.RuntimeOptions(parser.parse_args(words))


#: The flags of this process.
given = parsed(os.environ.get(VARIABLE, ""))
