"""Would a workflow have to compile? Each node that samples is looked up, and nothing is loaded.

The answer for a node is one of these verdicts:

    hit      all that it needs is in the cache
    partial  a part of it is
    miss     it has to be compiled
    torch    torch computes its network, because no node of preheat stands before it
    unknown  what it needs is known only when the workflow runs; `notes` says why
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import folder_paths
import preheat

from .checkpoint_header import network_behind
from .network import NotServed
from .pipeline_nodes import LoadedPipeline, model_folders
from .runtimes import Settings, default_settings
from .served_model import CHUNK_TOKENS, denoisers
from .warmup_block import every_model
from .workflow_graph import Sampling, Unknown, Workflow

_WARMUP, _OPTIMIZATION = "TPUManualWarmup", "TPUModelOptimization"
#: How many opened pipelines are remembered.
_MOST_PIPELINES = 8

_lock = threading.Lock()
_tokenizer: Any = None
_pipelines: dict[tuple[str, Settings], LoadedPipeline] = {}


def lookup(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on a workflow, and on each node in it that samples."""
    workflow = Workflow(prompt)
    samplers = [_of(workflow, sampling) for sampling in workflow.samplings()]
    verdicts = {one["verdict"] for one in samplers}
    verdict = "unknown"
    for one in ("miss", "partial", "unknown", "torch", "hit"):
        if one in verdicts:
            verdict = one
            break
    if verdict == "miss" and verdicts & {"partial", "hit"}:
        verdict = "partial"
    return {"verdict": verdict, "samplers": samplers}


def warmup_prompt(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow that warms what another one lacks: its models, each with a warmup node.

    It is empty if nothing is missing, or if it is not known what is.
    """
    workflow = Workflow(prompt)
    made: dict[str, Any] = {}
    for sampling in workflow.samplings():
        looked_up = _of(workflow, sampling)
        if looked_up["verdict"] not in ("miss", "partial"):
            continue
        for name in workflow.above(sampling.source[0]):
            made[name] = prompt[name]
        for chunks in _chunks_needed(sampling):
            made[f"preheat_{sampling.node}_{chunks}"] = _warmup_node(sampling, chunks)
    return made


def _warmup_node(sampling: Sampling, chunks: int) -> dict[str, Any]:
    width, height = sampling.size_px or (0, 0)
    inputs = {
        "model": list(sampling.source), "width": width, "height": height,
        "batch_size": sampling.batch, "cfg_scale": sampling.cfg_scale, "device": "auto",
        "precision": "auto", "force_recompile": False, "token_chunks": chunks,
    }  # fmt: skip
    return {"class_type": _WARMUP, "inputs": inputs}


def _of(workflow: Workflow, sampling: Sampling) -> dict[str, Any]:
    """The answer for one node that samples."""
    report: dict[str, Any] = {
        "node": sampling.node, "kind": sampling.kind, "title": sampling.title,
        "size": sampling.size_px, "batch": sampling.batch, "stages": [], "notes": sampling.notes,
    }  # fmt: skip
    is_pipeline = sampling.kind == "PreheatGenerate"
    kinds = [workflow.kind(node) for node in sampling.path]
    if not is_pipeline and not every_model() and not {_WARMUP, _OPTIMIZATION} & set(kinds):
        words = "put TPU Manual Warmup between the model and this node to run it on preheat"
        return {**report, "verdict": "torch", "notes": [*sampling.notes, words]}
    try:
        if sampling.size_px is None:
            return {**report, "verdict": "unknown"}
        settings = _settings(workflow, sampling.path)
        of_kind = _of_pipeline if is_pipeline else _of_model
        report.update(of_kind(workflow, sampling, settings))
    except NotServed as why:
        words = f"torch computes its network, because of {why}"
        return {**report, "verdict": "torch", "notes": [*sampling.notes, words]}
    except (Unknown, preheat.PreheatError, ValueError) as why:
        return {**report, "verdict": "unknown", "notes": [*sampling.notes, str(why)]}
    return report


def _settings(workflow: Workflow, path: list[str]) -> Settings:
    """The settings that the nodes of a path give a model."""
    settings = default_settings(workflow.kind(path[-1]) == "PreheatLoadModel")
    for node in reversed(path):
        kind = workflow.kind(node)
        if kind in (_WARMUP, "PreheatLoadModel"):
            settings = settings.on(
                workflow.value(node, "device"), workflow.value(node, "precision")
            )
        elif kind == _OPTIMIZATION:
            names = (
                "autocast_dtype", "compilation_cache", "shape_padding", "shape_padding_multiple",
                "compile_effort", "offload",
            )  # fmt: skip
            settings = settings.optimised(**{name: workflow.value(node, name) for name in names})
    return settings


def _of_model(workflow: Workflow, sampling: Sampling, settings: Settings) -> dict[str, Any]:
    if settings.is_of_torch:
        raise NotServed(f"the device {settings.device} of the warmup node")
    name, unet = network_behind(workflow, sampling.path)
    network = denoisers(name, unet, settings)
    width, height = sampling.size_px or (0, 0)
    stages = []
    for batch, tokens in _calls(sampling):
        found = network.lookup(height // 8, width // 8, batch, tokens)
        (stage,) = found["stages"]
        halves = False
        if stage["verdict"] != "hit" and batch % 2 == 0:
            half = network.lookup(height // 8, width // 8, batch // 2, tokens)
            halves = half["verdict"] == "hit"
        stages.append(
            {
                "stage": "denoiser", "batch": batch, "tokens": tokens,
                "verdict": "hit" if halves else stage["verdict"], "in_halves": halves,
                "expected_compile_seconds": stage.get("expected_compile_seconds"),
            }
        )  # fmt: skip
    return {
        "network": name, "device": network.runtime.device["selected"],
        "dtype": settings.dtype(), "stages": stages, "verdict": _together(stages),
    }  # fmt: skip


def _calls(sampling: Sampling) -> list[tuple[int, int]]:
    """The batches and numbers of tokens with which sampling can call the network.

    With guidance, ComfyUI joins both prompts into one batch if it finds enough memory. A shorter
    prompt is then repeated until both have the same length.
    """
    batch = sampling.batch or 1
    positive, negative = (_chunks(text) for text in sampling.prompts)
    if not sampling.is_guided:
        return [(batch, CHUNK_TOKENS * positive)]
    joined = (2 * batch, CHUNK_TOKENS * math.lcm(positive, negative))
    alone = sorted({(batch, CHUNK_TOKENS * chunks) for chunks in (positive, negative)})
    return [joined, *alone]


def _chunks_needed(sampling: Sampling) -> list[int]:
    if sampling.kind == "PreheatGenerate":
        return [1]
    return sorted({tokens // CHUNK_TOKENS for _, tokens in _calls(sampling)})


def _chunks(text: str | None) -> int:
    """How many chunks of tokens a prompt has."""
    global _tokenizer
    if not text:
        return 1
    with _lock:
        if _tokenizer is None:
            import comfy.sd1_clip

            folders = folder_paths.get_folder_paths("embeddings")
            _tokenizer = comfy.sd1_clip.SD1Tokenizer(embedding_directory=folders)
        return max(len(chunks) for chunks in _tokenizer.tokenize_with_weights(text).values())


def _of_pipeline(workflow: Workflow, sampling: Sampling, settings: Settings) -> dict[str, Any]:
    name = str(workflow.value(sampling.path[-1], "model_name"))
    folder = model_folders().get(name)
    if folder is None:
        raise Unknown(f"{name} is not below models/diffusers")
    with _lock:
        if len(_pipelines) >= _MOST_PIPELINES:
            _pipelines.clear()
        loaded = _pipelines.setdefault((name, settings), LoadedPipeline(folder, settings))
    width, height = sampling.size_px or (0, 0)
    scheduler = workflow.value(sampling.node, "scheduler")
    found = loaded.pipeline.lookup(
        height, width, sampling.batch or 1, guidance_scale=sampling.cfg_scale,
        scheduler=None if scheduler == "auto" else scheduler,
    )  # fmt: skip
    stages = [
        {
            "stage": stage["stage"], "verdict": stage["verdict"], "in_halves": False,
            "batch": None, "tokens": None,
            "expected_compile_seconds": stage.get("expected_compile_seconds"),
        }
        for stage in found["stages"]
    ]  # fmt: skip
    return {
        "network": name, "device": loaded.pipeline.runtime.device["selected"],
        "dtype": None, "stages": stages, "verdict": found["verdict"],
    }  # fmt: skip


def _together(stages: list[dict[str, Any]]) -> str:
    hits = [stage["verdict"] == "hit" for stage in stages]
    return "hit" if all(hits) else "partial" if any(hits) else "miss"
