"""What do the four nodes that the specification names do?

They warm a model up, show the cache, list devices, and make a model run on preheat.
"""

from __future__ import annotations

import json
from typing import Any

import preheat
from comfy_api.latest import io, ui

from . import served_model
from .cache_entries import rows
from .network import NotServed
from .pipeline_nodes import LoadedPipeline, PipelineType
from .runtimes import OF_TORCH, Settings, default_settings, runtime
from .served_model import CHUNK_TOKENS
from .watch import interruptible

CATEGORY = "advanced/tpu"
_DEVICES = ["auto", "cuda", "mps", "cpu", "tpu", "xla-cpu", "xla-cuda"]
_PRECISIONS = ["auto", "bf16", "fp32"]
_EFFORTS = ["full", "balanced", "fast"]


_MODEL = "A MODEL, or a preheat pipeline"


def _model_type() -> io.MatchType.Template:
    return io.MatchType.Template("model", [io.Model, PipelineType])


def _as_text(stages: list[dict[str, Any]]) -> str:
    lines = []
    for stage in stages:
        line = f"{stage['stage']}: {stage['state']}, {stage['seconds']:.2f} s"
        if stage["expected_seconds"]:
            line += f" (expected {stage['expected_seconds']:.0f} s)"
        lines.append(line)
    return "\n".join(lines)


class TPUManualWarmup(io.ComfyNode):
    """Compiles what sampling at a size needs, before somebody waits for it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs as the specification has them."""
        kind = _model_type()
        return io.Schema(
            node_id="TPUManualWarmup",
            display_name="TPU Manual Warmup",
            category=CATEGORY,
            description="Compiles or loads what sampling at this size needs. The model that comes "
            "out runs on preheat under every sampler node.",
            inputs=[
                io.MatchType.Input("model", template=kind, tooltip=_MODEL),
                io.Int.Input("width", default=512, min=64, max=8192, step=8),
                io.Int.Input("height", default=512, min=64, max=8192, step=8),
                io.Int.Input("batch_size", default=1, min=1, max=64),
                io.Float.Input(
                    "cfg_scale", default=7.5, min=0.0, max=100.0, step=0.1,
                    tooltip="It matters only whether this is 1, which means no guidance",
                ),
                io.Combo.Input("device", options=_DEVICES, default="auto"),
                io.Combo.Input("precision", options=_PRECISIONS, default="auto"),
                io.Boolean.Input("force_recompile", default=False),
                io.Int.Input(
                    "token_chunks", default=1, min=1, max=16, optional=True,
                    tooltip=f"The number of chunks of {CHUNK_TOKENS} tokens in the longest prompt",
                ),
            ],
            outputs=[
                io.MatchType.Output(template=kind, id="model", display_name="model"),
                io.String.Output("warmup_status", display_name="warmup_status"),
                io.String.Output("warmup_json", display_name="warmup_json"),
            ],
            is_output_node=True,
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, force_recompile: bool = False, **_: Any) -> Any:
        """A forced compile is done each time."""
        return float("nan") if force_recompile else 0

    @classmethod
    def execute(
        cls,
        model: Any,
        width: int,
        height: int,
        batch_size: int,
        cfg_scale: float,
        device: str,
        precision: str,
        force_recompile: bool,
        token_chunks: int = 1,
    ) -> io.NodeOutput:
        """Warms, and returns the optimised model."""
        if isinstance(model, LoadedPipeline):
            out, stages = model.on(device, precision), []
            stages = out.warm(width, height, batch_size, cfg_scale, force_recompile)
        elif device in OF_TORCH:
            out = served_model.on_torch(model, device, precision)
            stages = [_stage("model", f"runs on torch's {device}")]
        else:
            settings = served_model.settings_of(model) or default_settings()
            settings = settings.on(device, precision)
            out, stages = cls._warm(
                model, settings, (width, height), batch_size, cfg_scale != 1.0, token_chunks,
                force_recompile,
            )  # fmt: skip
        text = _as_text(stages)
        return io.NodeOutput(out, text, json.dumps(stages), ui=ui.PreviewText(text))

    @staticmethod
    def _warm(
        model: Any,
        settings: Settings,
        size: tuple[int, int],
        batch: int,
        guided: bool,
        chunks: int,
        force: bool,
    ) -> tuple[Any, list[dict[str, Any]]]:
        try:
            out, network = served_model.optimised(model, settings)
            return out, served_model.warm_up(out, network, size, batch, guided, chunks, force)
        except NotServed as why:
            return model, [_stage("model", f"stays on torch, because of {why}")]


def _stage(name: str, state: str) -> dict[str, Any]:
    return {"stage": name, "state": state, "seconds": 0.0, "expected_seconds": None}


class TPUCompilationCache(io.ComfyNode):
    """Shows the cache of compiled graphs, or empties it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The inputs of the specification, and the confirmation that `clear` requires."""
        return io.Schema(
            node_id="TPUCompilationCache",
            display_name="TPU Compilation Cache",
            category=CATEGORY,
            description="Statistics and contents of the cache of compiled graphs.",
            inputs=[
                io.Combo.Input("action", options=["stats", "info", "list", "verify", "clear"]),
                io.Boolean.Input(
                    "confirm_clear", default=False,
                    tooltip="clear removes every compiled graph, also those of other programs",
                ),
            ],
            outputs=[io.String.Output("report", display_name="report")],
            is_output_node=True,
            not_idempotent=True,
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """The cache changes between two runs."""
        return float("nan")

    @classmethod
    def execute(cls, action: str, confirm_clear: bool) -> io.NodeOutput:
        """Does the action, and reports the result as text."""
        cache = runtime().cache
        if action == "clear" and not confirm_clear:
            text = "Nothing was removed: set confirm_clear to remove every compiled graph."
        elif action == "list":
            text = entries_as_text(cache.list())
        else:
            done = {
                "stats": cache.stats,
                "info": cache.info,
                "clear": cache.clear,
                "verify": lambda: interruptible(lambda watch: cache.verify(cancel=watch.cancel)),
            }[action]()
            text = "\n".join(flat(done))
        return io.NodeOutput(text, ui=ui.PreviewText(text))


def flat(report: Any, name: str = "") -> list[str]:
    """A report as lines of `name: value`."""
    if isinstance(report, dict):
        parts = [(f"{name}.{key}" if name else str(key), value) for key, value in report.items()]
        return [line for key, value in parts for line in flat(value, key)]
    if isinstance(report, list) and report and isinstance(report[0], dict):
        return [line for at, value in enumerate(report) for line in flat(value, f"{name}.{at}")]
    return [f"{name}: {report}"]


def entries_as_text(entries: list[dict[str, Any]]) -> str:
    """The cache's entries as a table."""
    if not entries:
        return "The cache has no entries."
    table = [("graph key", "stage", "model", "device", "kB", "compile s", "hits")]
    for row in rows(entries):
        table.append(
            (
                row["graph_key"][:12], row["stage"], row["model"], row["device"],
                f"{row['stored_bytes'] / 1e3:.0f}", f"{row['compile_seconds']:.1f}",
                str(row["hits"]),
            )
        )  # fmt: skip
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    cells = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table]
    return "\n".join("  ".join(row).rstrip() for row in cells)


class TPUDeviceInfo(io.ComfyNode):
    """Lists the devices of this machine."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """It has no inputs."""
        return io.Schema(
            node_id="TPUDeviceInfo",
            display_name="TPU Device Info",
            category=CATEGORY,
            description="Each device, whether it can be used, why not, and its compiler.",
            inputs=[],
            outputs=[
                io.String.Output("devices", display_name="devices"),
                io.String.Output("devices_json", display_name="devices_json"),
            ],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """Somebody may install a plugin while ComfyUI runs."""
        return float("nan")

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """Asks preheat for the devices."""
        devices = preheat.devices()
        text = "\n".join(_device_as_text(device) for device in devices)
        text += f"\npreheat {preheat.__version__}; auto is {runtime().device['selected']}"
        return io.NodeOutput(text, json.dumps(devices), ui=ui.PreviewText(text))


def _device_as_text(device: dict[str, Any]) -> str:
    line = f"{device['name']}: {'available' if device['available'] else 'not available'}"
    about = [device.get("kind"), device.get("reason"), device.get("platform_version")]
    plugin = device.get("plugin")
    if isinstance(plugin, dict):
        about.append(plugin.get("version"))
    if device.get("memory_total_bytes"):
        about.append(f"{device['memory_total_bytes'] / 2**30:.1f} GiB")
    words = [str(one).replace("\n", ", ") for one in about if one]
    return line + (f" ({'; '.join(words)})" if words else "")


class TPUModelOptimization(io.ComfyNode):
    """Makes a model run on preheat, with settings of its own. Nothing is compiled yet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs as the specification has them."""
        kind = _model_type()
        return io.Schema(
            node_id="TPUModelOptimization",
            display_name="TPU Model Optimization",
            category=CATEGORY,
            description="Sets how a model runs on preheat. Without a warmup, the first sampling at "
            "a size compiles.",
            inputs=[
                io.MatchType.Input("model", template=kind, tooltip=_MODEL),
                io.Combo.Input("autocast_dtype", options=_PRECISIONS, default="auto"),
                io.Boolean.Input(
                    "compilation_cache", default=True,
                    tooltip="Without it, everything is compiled anew in each process",
                ),
                io.Boolean.Input(
                    "shape_padding", default=True,
                    tooltip="For preheat pipelines. A MODEL runs at the size of its latents: "
                    "padding them would change the picture",
                ),
                io.Int.Input("shape_padding_multiple", default=64, min=8, max=512, step=8),
                io.Combo.Input("compile_effort", options=_EFFORTS, default="full"),
                io.Combo.Input(
                    "offload", options=["auto", "none", "model", "sequential"], default="auto",
                    tooltip="For preheat pipelines on torch's devices",
                ),
            ],
            outputs=[io.MatchType.Output(template=kind, id="model", display_name="model")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        model: Any,
        autocast_dtype: str,
        compilation_cache: bool,
        shape_padding: bool,
        shape_padding_multiple: int,
        compile_effort: str,
        offload: str,
    ) -> io.NodeOutput:
        """Returns a model with these settings."""
        is_pipeline = isinstance(model, LoadedPipeline)
        before = model.settings if is_pipeline else served_model.settings_of(model)
        settings = (before or default_settings()).optimised(
            autocast_dtype, compilation_cache, shape_padding, shape_padding_multiple,
            compile_effort, offload,
        )  # fmt: skip
        if is_pipeline:
            return io.NodeOutput(model.with_settings(settings))
        try:
            return io.NodeOutput(served_model.optimised(model, settings)[0])
        except NotServed as why:
            served_model.log.warning("preheat: the model stays on torch, because of %s", why)
            return io.NodeOutput(model)
