"""How does a test read one module of the node pack, without ComfyUI?"""

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "comfyui"


def module(name):
    """A module that imports nothing of ComfyUI and no other module of the pack."""
    spec = importlib.util.spec_from_file_location(f"pack_{name}", FOLDER / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    # `dataclass` looks its module up there.
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made
