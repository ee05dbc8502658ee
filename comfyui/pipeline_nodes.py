"""How does ComfyUI run a whole model on preheat, without ComfyUI's own loaders and samplers?"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import folder_paths
import preheat
import torch
from comfy_api.latest import io, ui

from . import flags
from .runtimes import Settings, default_settings, runtime_settings
from .watch import interruptible

CATEGORY = "advanced/tpu"

#: The type with which nodes pass a `LoadedPipeline` to each other.
PipelineType = io.Custom("PREHEAT_PIPELINE")

#: Samplers by ComfyUI's names, where it has them.
_SCHEDULERS = [
    "auto", "euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2m",
    "dpmpp_2m_sde", "ddpm", "ddim", "deis", "ipndm", "lcm", "pndm", "tcd", "uni_pc_bh2",
]  # fmt: skip
_PRECISIONS = ["auto", "bf16", "fp32"]


class LoadedPipeline:
    """A model folder with the settings that it runs with. It is opened when it is first needed."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        self._opened: preheat.DiffusionPipeline | None = None

    @property
    def pipeline(self) -> preheat.DiffusionPipeline:
        """The opened model."""
        if self._opened is None:
            settings = self.settings
            own = {
                "precision": settings.precision,
                "padding_multiple_px": settings.padding_multiple_px,
                "offload": settings.offload,
            }
            self._opened = preheat.DiffusionPipeline(
                self.folder,
                **{
                    **flags.given.pipeline_settings(),
                    **runtime_settings(settings),
                    **own,
                },
            )
        return self._opened

    def with_settings(self, settings: Settings) -> LoadedPipeline:
        """The same model with other settings."""
        return self if settings == self.settings else LoadedPipeline(self.folder, settings)

    def on(self, device: str, precision: str) -> LoadedPipeline:
        """The same model on another device; `auto` changes nothing."""
        return self.with_settings(self.settings.on(device, precision))

    def warm(
        self, width: int, height: int, batch: int, cfg_scale: float, force: bool
    ) -> list[dict[str, Any]]:
        """Warms a size, and returns how each stage was obtained."""
        began = time.monotonic()
        report = interruptible(
            lambda watch: self.pipeline.warmup(
                height, width, batch, guidance_scale=cfg_scale, force_recompile=force,
                progress=watch.event, cancel=watch.cancel,
            )
        )  # fmt: skip
        seconds = round(time.monotonic() - began, 3)
        stages = [
            {
                "stage": stage["stage"],
                "state": state_of(stage["source"]),
                "seconds": round(stage.get("compile_seconds", 0) + stage.get("load_seconds", 0), 3),
                "expected_seconds": None,
                "compile_seconds": stage.get("compile_seconds", 0.0),
                "graph_key": stage.get("graph_key"),
            }
            for stage in report.get("stages", [])
        ]
        whole = {"stage": "all", "state": "warm", "seconds": seconds, "expected_seconds": None}
        return [*stages, whole]

    def scaling_factor(self) -> float:
        """The factor by which the model's latents differ from ComfyUI's."""
        try:
            config = json.loads((self.folder / "vae" / "config.json").read_text("utf-8"))
        except (OSError, ValueError):
            config = {}
        return float(config.get("scaling_factor") or 0.18215)


def state_of(source: str) -> str:
    """How an executable was obtained, in words."""
    return "compiled" if source == "compiled" else f"loaded from {source}"


def model_folders() -> dict[str, Path]:
    """The models in diffusers' format below `models/diffusers`, by name."""
    found: dict[str, Path] = {}
    for base in folder_paths.get_folder_paths("diffusers"):
        for index in sorted(Path(base).glob("*/model_index.json")):
            found.setdefault(index.parent.name, index.parent)
    return found


class PreheatLoadModel(io.ComfyNode):
    """Opens a model in diffusers' format."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The models are those below models/diffusers."""
        return io.Schema(
            node_id="PreheatLoadModel",
            display_name="Preheat Load Model",
            category=CATEGORY,
            description="A model folder in diffusers' format, from models/diffusers.",
            inputs=[
                io.Combo.Input("model_name", options=list(model_folders())),
                io.Combo.Input(
                    "device",
                    options=["auto", "tpu", "xla-cpu", "xla-cuda", "cuda", "mps", "cpu"],
                    default="auto",
                ),
                io.Combo.Input("precision", options=_PRECISIONS, default="auto"),
            ],
            outputs=[PipelineType.Output("pipeline", display_name="pipeline")],
        )

    @classmethod
    def validate_inputs(cls, model_name: str) -> bool | str:
        """A model that was added after ComfyUI started is found, too."""
        known = model_folders()
        if model_name in known:
            return True
        return f"put {model_name} below models/diffusers: found are {', '.join(known) or 'none'}"

    @classmethod
    def execute(cls, model_name: str, device: str, precision: str) -> io.NodeOutput:
        """Returns the model, which is opened when it is first used."""
        settings = default_settings(of_pipeline=True).on(device, precision)
        return io.NodeOutput(LoadedPipeline(model_folders()[model_name], settings))


class PreheatGenerate(io.ComfyNode):
    """Makes pictures from a prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The arguments of preheat's own pipeline."""
        return io.Schema(
            node_id="PreheatGenerate",
            display_name="Preheat Generate",
            category=CATEGORY,
            description="Text to image with preheat's own loop. Latents stay on the device.",
            inputs=[
                PipelineType.Input("pipeline"),
                io.String.Input("prompt", multiline=True, default=""),
                io.String.Input("negative_prompt", multiline=True, default=""),
                io.Int.Input("width", default=512, min=64, max=8192, step=8),
                io.Int.Input("height", default=512, min=64, max=8192, step=8),
                io.Int.Input("batch_size", default=1, min=1, max=64),
                io.Int.Input("steps", default=20, min=1, max=1000),
                io.Float.Input("cfg_scale", default=7.5, min=0.0, max=100.0, step=0.1),
                io.Combo.Input("scheduler", options=_SCHEDULERS, default="auto"),
                io.Int.Input("seed", default=0, min=0, max=2**64 - 1, control_after_generate=True),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                io.Latent.Output("latent", display_name="latent"),
                io.String.Output("report", display_name="report"),
            ],
        )

    @classmethod
    def execute(
        cls,
        pipeline: LoadedPipeline,
        prompt: str,
        negative_prompt: str,
        width: int,
        height: int,
        batch_size: int,
        steps: int,
        cfg_scale: float,
        scheduler: str,
        seed: int,
    ) -> io.NodeOutput:
        """Runs the pipeline under ComfyUI's bar and interrupt."""
        output = interruptible(
            lambda watch: pipeline.pipeline(
                prompt,
                height,
                width,
                steps,
                cfg_scale,
                negative_prompt,
                batch_size,
                output_type="np",
                seed=seed,
                scheduler=None if scheduler == "auto" else scheduler,
                progress=watch.event,
                cancel=watch.cancel,
            )
        )
        images = torch.from_numpy(output.images.copy())
        latents = torch.cat([torch.from_dlpack(one) for one in output.latents])
        latent = {"samples": latents / pipeline.scaling_factor()}
        report = json.dumps(output.reports)
        return io.NodeOutput(images, latent, report)
