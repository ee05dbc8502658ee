"""Which network does a model file have? The header of a safetensors file tells this.

ComfyUI recognises a model by the names and shapes of its weights. So it gets tensors that have
shapes and no memory. Nothing is loaded.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import comfy.model_detection
import folder_paths
import torch
from safetensors import safe_open

from .workflow_graph import Unknown, Workflow

#: The folder of each kind of file, by the input with which loaders name the file.
_FOLDERS = {"ckpt_name": "checkpoints", "unet_name": "diffusion_models"}
#: How many files are remembered.
_MOST_FILES = 32
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

#: The name of a family, such as `SD15`, and the config of its network.
Recognised = tuple[str, dict[str, Any]]

_lock = threading.Lock()
_known: dict[tuple[str, int, int], Recognised | None] = {}


def network_behind(workflow: Workflow, path: list[str]) -> Recognised:
    """The network of the model that a path of nodes leads to, from the sampler up to the loader."""
    loader = path[-1]
    for name, folder in _FOLDERS.items():
        if name in workflow.inputs(loader):
            file = str(workflow.value(loader, name))
            found = folder_paths.get_full_path(folder, file)
            if found is None:
                raise Unknown(f"{file} is not below models/{folder}")
            recognised = recognise(Path(found))
            if recognised is None:
                raise Unknown(f"{file} is not recognised before it is loaded")
            return recognised
    raise Unknown(f"{workflow.title(loader)} names no model file")


def recognise(path: Path) -> Recognised | None:
    """The network in a file; `None` if only loading the file can tell."""
    try:
        state = path.stat()
    except OSError:
        return None
    key = (str(path), state.st_mtime_ns, state.st_size)
    with _lock:
        if key not in _known:
            while len(_known) >= _MOST_FILES:
                del _known[next(iter(_known))]
            _known[key] = _read(path)
        return _known[key]


def _read(path: Path) -> Recognised | None:
    try:
        with safe_open(path, framework="pt") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            tensors = {
                name: torch.empty(
                    part.get_shape(), dtype=_DTYPES.get(part.get_dtype(), torch.uint8),
                    device="meta",
                )
                for name, part in parts.items()
            }  # fmt: skip
        prefix = comfy.model_detection.unet_prefix_from_state_dict(tensors)
        if not any(name.startswith(prefix) for name in tensors):
            prefix = ""
        config = comfy.model_detection.model_config_from_unet(tensors, prefix)
    except Exception:  # noqa: BLE001 -- ComfyUI's recognition fails in many ways on foreign files
        return None
    return None if config is None else (type(config).__name__, dict(config.unet_config))
