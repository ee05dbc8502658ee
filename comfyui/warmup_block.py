"""How does a program warm up through ComfyUI's API? A `tpu_warmup` block beside the prompt.

    {"prompt": {...}, "tpu_warmup": {"enabled": true, "target_resolution": [512, 512],
                                     "batch_size": 1}}

Before the prompt is queued, a *TPU Manual Warmup* node is put between each model and the node that
samples it. So the work is done in ComfyUI's queue, with the bar and Interrupt, and never in the
server's event loop. With `PREHEAT_COMFYUI_ENABLE=1`, models are optimised in the same way in
every prompt, without a block and without compiling ahead.
"""

from __future__ import annotations

import os
from typing import Any

import nodes
from server import PromptServer

from . import flags

_WARMUP, _OPTIMIZATION = "TPUManualWarmup", "TPUModelOptimization"
#: Fields of the block, with the inputs of the node that they set.
_FIELDS = {
    "batch_size": "batch_size",
    "cfg_scale": "cfg_scale",
    "device": "device",
    "precision": "precision",
    "force_recompile": "force_recompile",
    "token_chunks": "token_chunks",
}
_DEFAULTS = {
    "batch_size": 1, "cfg_scale": 7.5, "device": "auto", "precision": "auto",
    "force_recompile": False, "token_chunks": 1,
}  # fmt: skip


class BadBlock(ValueError):
    """A `tpu_warmup` block that is not valid. The message says what to write."""


def register() -> None:
    """Registers a handler that the server calls with each prompt before it checks and queues it."""
    PromptServer.instance.add_on_prompt_handler(on_prompt)


def on_prompt(body: dict[str, Any]) -> dict[str, Any]:
    """Adds the nodes to the body of a request to /prompt, if its block or the variable says so."""
    # The specification writes `workflow` for what ComfyUI calls `prompt`.
    if "prompt" not in body and is_prompt(body.get("workflow")):
        body = {**body, "prompt": body["workflow"]}
    if not is_prompt(body.get("prompt")):
        return body
    block = body.get("tpu_warmup")
    if block is not None:
        try:
            inputs = inputs_of(block)
        except BadBlock as error:
            # ComfyUI checks the prompt after the handlers. It refuses a class type that it does not
            # know, and its answer contains that type, which is this message.
            return {**body, "prompt": {"tpu_warmup": {"class_type": f"tpu_warmup: {error}"}}}
        if inputs is not None:
            return {**body, "prompt": with_node(body["prompt"], _WARMUP, inputs)}
    if every_model():
        return {**body, "prompt": with_node(body["prompt"], _OPTIMIZATION, _optimized())}
    return body


def every_model() -> bool:
    """Whether every model runs on preheat, without a node."""
    return os.environ.get("PREHEAT_COMFYUI_ENABLE") == "1" or bool(flags.given.args.tpu_enable)


def _optimized() -> dict[str, Any]:
    """The inputs of the node that optimises every model."""
    args = flags.given.args
    return {
        "autocast_dtype": "auto",
        "compilation_cache": True,
        "shape_padding": args.tpu_shape_padding,
        "shape_padding_multiple": args.tpu_shape_padding_multiple,
        "compile_effort": args.compile_effort,
        "offload": "auto",
    }


def is_prompt(given: Any) -> bool:
    """Whether this is a workflow in the format of ComfyUI's API."""
    return (
        isinstance(given, dict)
        and bool(given)
        and all(isinstance(node, dict) and "class_type" in node for node in given.values())
    )


def inputs_of(block: Any) -> dict[str, Any] | None:
    """The inputs of the node for a block, or `None` if the block is not enabled."""
    if not isinstance(block, dict):
        raise BadBlock('give an object, such as {"enabled": true}')
    unknown = sorted(set(block) - {"enabled", "target_resolution", *_FIELDS})
    if unknown:
        known = ", ".join(["enabled", "target_resolution", *_FIELDS])
        raise BadBlock(f"leave {', '.join(unknown)} out: known are {known}")
    if not block.get("enabled", True):
        return None
    width, height = resolution(block.get("target_resolution", [512, 512]))
    given = {_FIELDS[name]: value for name, value in block.items() if name in _FIELDS}
    return {"width": width, "height": height, **_DEFAULTS, **given}


def resolution(given: Any) -> tuple[int, int]:
    """Width and height from `[512, 768]`, `"512x768"`, or one number for both."""
    sides = given
    if isinstance(given, str):
        sides = given.lower().split("x")
    elif isinstance(given, (int, float)):
        sides = [given]
    try:
        numbers = [int(side) for side in sides]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 1:
        numbers *= 2
    if len(numbers) != 2 or min(numbers) < 64:
        raise BadBlock('give target_resolution as [width, height] or "512x768", from 64 on')
    return numbers[0], numbers[1]


def with_node(prompt: dict[str, Any], kind: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The prompt with a node of that kind between each model and the node that samples it."""
    changed = {name: dict(node) for name, node in prompt.items()}
    inserted: dict[tuple[str, int], str] = {}
    for name, node in prompt.items():
        link = (node.get("inputs") or {}).get("model")
        if not _is_link(link, prompt) or not _samples(node["class_type"]):
            continue
        source = (str(link[0]), int(link[1]))
        if prompt[source[0]]["class_type"] in (_WARMUP, _OPTIMIZATION):
            continue  # somebody has put one there
        if source not in inserted:
            inserted[source] = f"preheat_{source[0]}_{source[1]}"
            changed[inserted[source]] = {
                "class_type": kind,
                "inputs": {**inputs, "model": [source[0], source[1]]},
            }
        changed[name]["inputs"] = {**node["inputs"], "model": [inserted[source], 0]}
    return changed


def _is_link(given: Any, prompt: dict[str, Any]) -> bool:
    return isinstance(given, list) and len(given) == 2 and str(given[0]) in prompt


def _samples(class_type: str) -> bool:
    """Whether a node samples a model: it takes a model, and none of its outputs is a model."""
    kind = nodes.NODE_CLASS_MAPPINGS.get(class_type)
    if kind is None or class_type in (_WARMUP, _OPTIMIZATION):
        return False
    # Nodes that pass on any type declare one of the last two types.
    given_on = {"MODEL", "*", "COMFY_MATCHTYPE_V3"}
    return not given_on.intersection(str(one) for one in getattr(kind, "RETURN_TYPES", None) or ())
