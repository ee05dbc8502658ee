"""How do torch and JAX in the same process change the search for a device?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: The version of torch that preheat's torch library is built against.
TORCH = "2.11"
_OF_JAX = "TPU_SKIP_MDS_QUERY"


def prepare() -> str | None:
    """Makes the search for a device take account of torch and JAX in this process.

    Call it before the search, and give its result to `restore` afterwards.
    """
    _choose_libtorch()
    return _hide_what_jax_set()


def restore(hidden: str | None) -> None:
    """Sets the variable that `prepare` hid, if it hid one."""
    if hidden is not None:
        os.environ[_OF_JAX] = hidden


def _choose_libtorch() -> None:
    """Makes libtorch's devices use the libtorch of Python's torch.

    A second libtorch in one process ends the process. So if another version of torch is loaded, the
    devices of libtorch are refused; those of XLA can still be used.
    """
    torch = sys.modules.get("torch")
    version = getattr(torch, "__version__", None)
    folder = getattr(torch, "__file__", None)
    if torch is None or version is None or folder is None:
        return
    if str(version).split("+")[0].startswith(TORCH + "."):
        os.environ.setdefault("LIBTORCH", str(Path(folder).parent))
    else:
        # This file does not exist. The search for the library ends at it, and its name tells the
        # user why.
        name = f"/torch-{version}-is-loaded-and-preheat-needs-{TORCH}"
        os.environ["PREHEAT_TORCH_BACKEND"] = name


def _hide_what_jax_set() -> str | None:
    """Hides a variable that `import jax` sets if it finds no TPU.

    preheat takes the variable as the user's decision to let libtpu look for a TPU: preheat does not
    look itself, and `auto` chooses the TPU if libtpu is installed, even if no TPU is attached. So
    the variable is kept only if it was set when the process started, because then the user set it.
    """
    if "jax" not in sys.modules or _OF_JAX not in os.environ or _was_there_at_the_start():
        return None
    return os.environ.pop(_OF_JAX)


def _was_there_at_the_start() -> bool:
    try:
        environment = Path("/proc/self/environ").read_bytes()
    except OSError:
        return False
    return any(line.startswith(_OF_JAX.encode() + b"=") for line in environment.split(b"\0"))
