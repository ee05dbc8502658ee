"""How does a program that was written for diffusers make its pictures with preheat?

The call has the arguments of `StableDiffusionPipeline` and `StableDiffusionXLPipeline` in diffusers.
`DiffusionPipeline.__call__` lists the differences.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preheat import _native
from preheat._errors import InvalidRequest, ModelError

#: diffusers' default; that of the command line is 20.
DEFAULT_STEPS = 50

_OF_THE_PIPELINE = {
    "padding_multiple_px",
    "warmup_steps",
    "snap_to_warm",
    "offload",
    "reserve_memory_bytes",
    "precision",
    "text_encoder_precision",
    "denoiser_precision",
    "vae_precision",
    "autocast_bf16",
    "force_precision",
    "config",
    "vae",
    "text_encoder",
    "prediction_type",
}


@dataclass
class PipelineOutput:
    """The result of a call."""

    #: PIL images (without Pillow, uint8 arrays `[height, width, 3]`), or one float32 array
    #: `[n, height, width, 3]`, or the latents, as `output_type` says.
    images: Any
    #: The seed of each picture, which makes it again.
    seeds: list[int] = field(default_factory=list)
    #: How each request was made: stages, times, warnings. The names are those of `preheat --json`.
    reports: list[dict[str, Any]] = field(default_factory=list)
    #: The latents of each request, before they were decoded: `[n, channels, height, width]`.
    latents: list[Any] = field(default_factory=list)
    #: No picture is checked. The field exists because code for diffusers may read it.
    nsfw_content_detected: Any = None


class DiffusionPipeline:
    """A model on a device. It keeps weights and executables from call to call."""

    def __init__(
        self, folder: str | os.PathLike[str], *, runtime: Any = None, **settings: Any
    ) -> None:
        """Opens a model folder in diffusers' format, or a model in a single safetensors file.

        `runtime` is a `Runtime`; without one, the other settings of `Runtime` may be given here.
        Settings of the pipeline are `variant`, `precision` (`auto`, `bf16`, `fp16`, `fp32`),
        `text_encoder_precision`, `denoiser_precision`, `vae_precision`, `autocast_bf16`,
        `force_precision`, `padding_multiple_px` (8 for no padding), `warmup_steps`, `snap_to_warm`
        (a percentage), `offload` and `reserve_memory_bytes`; and `config` (a folder), `vae`,
        `text_encoder` (one or a list) and `prediction_type` (`epsilon`, `v_prediction`, `sample`),
        which take the place of the model's own.
        """
        own = {name: settings.pop(name) for name in list(settings) if name in _OF_THE_PIPELINE}
        own["variant"] = settings.pop("variant", None)
        own.setdefault("autocast_bf16", _autocast_of_context())
        if own.get("snap_to_warm") is not None:
            own["snap_to_warm"] = str(own["snap_to_warm"])
        for name in ("config", "vae"):
            if own.get(name) is not None:
                own[name] = os.fspath(own[name])
        encoders = own.get("text_encoder")
        if encoders is not None:
            given = encoders if isinstance(encoders, (list, tuple)) else [encoders]
            own["text_encoder"] = [os.fspath(encoder) for encoder in given]
        self._runtime_settings = settings if runtime is None else None
        if runtime is None:
            settings.setdefault("for_programs", False)
            runtime = _native.Runtime(**settings)
        elif settings:
            raise TypeError(
                f"give {', '.join(sorted(settings))} to the Runtime: it is made already"
            )
        self._folder, self._settings = Path(folder), own
        self._native = _native.Pipeline(runtime, self._folder, **own)
        self._class = self._native.class_name
        self._shows_progress = True
        self._interrupt = False

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        torch_dtype: Any = None,
        variant: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        **settings: Any,
    ) -> DiffusionPipeline:
        """Opens a model folder, or a model of the Hugging Face Hub.

        A name of the hub needs the package huggingface_hub; only the files that are needed are
        downloaded. `torch_dtype` is the dtype that the stages compute in; without it, they compute
        in the dtype that suits the device.
        """
        dtype = settings.pop("dtype", torch_dtype)
        if dtype is not None:
            settings["precision"] = _precision(dtype)
        for ignored in ("use_safetensors", "safety_checker", "requires_safety_checker"):
            settings.pop(ignored, None)
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir() and not folder.is_file():
            folder = _download(
                str(pretrained_model_name_or_path), variant, revision, token, local_files_only
            )
        return cls(folder, variant=variant, **settings)

    @classmethod
    def from_single_file(
        cls, path: str | os.PathLike[str], *, torch_dtype: Any = None, **settings: Any
    ) -> DiffusionPipeline:
        """Opens a model in a single safetensors file.

        The settings are those of the constructor; `config` names a folder with the configs.
        """
        dtype = settings.pop("dtype", torch_dtype)
        if dtype is not None:
            settings["precision"] = _precision(dtype)
        return cls(path, **settings)

    @property
    def runtime(self) -> Any:
        """The `Runtime` that it runs on."""
        return self._native.runtime

    @property
    def model_id(self) -> str:
        """The model's name: that of its folder, or of its file without the ending."""
        return str(self._native.model_id)

    def to(self, *where: Any) -> DiffusionPipeline:
        """Moves the model to a device (`"cuda"`, `"cpu"`, ...), or to a dtype, as in diffusers.

        The settings of the runtime stay the same. A pipeline that was opened with `runtime=` cannot
        be moved to another device.
        """
        settings, runtime = dict(self._settings), self.runtime
        for one in where:
            if _is_dtype(one):
                settings["precision"] = _precision(one)
            elif not _is_on(str(one), runtime.device["selected"]):
                runtime = self._runtime_on(str(one))
        if runtime is not self.runtime or settings != self._settings:
            self._native = _native.Pipeline(runtime, self._folder, **settings)
            self._settings = settings
        return self

    def _runtime_on(self, device: str) -> Any:
        if self._runtime_settings is None:
            raise TypeError(
                f"make a Runtime for {device}, and a pipeline with it: this pipeline was opened "
                "with a Runtime of its own"
            )
        return _native.Runtime(**{**self._runtime_settings, "device": device})

    def set_progress_bar_config(self, *, disable: bool = False, **_: Any) -> None:
        """As in diffusers: `disable=True` shows no bars."""
        self._shows_progress = not disable

    def __call__(
        self,
        prompt: str | Sequence[str] = "",
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = DEFAULT_STEPS,
        guidance_scale: float | None = None,
        negative_prompt: str | Sequence[str] | None = None,
        num_images_per_prompt: int = 1,
        generator: Any = None,
        latents: Any = None,
        clip_skip: int | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[Any, int, Any, dict[str, Any]], Any] | None = None,
        *,
        seed: int | None = None,
        scheduler: str | None = None,
        eta: float | None = None,
        timesteps: Sequence[int] | None = None,
        sigmas: Sequence[float] | None = None,
        loras: Sequence[Any] | None = None,
        prompt_2: str | Sequence[str] | None = None,
        negative_prompt_2: str | Sequence[str] | None = None,
        prompt_syntax: str | None = None,
        prompt_chunks: int | None = None,
        image: Any = None,
        mask_image: Any = None,
        strength: float | None = None,
        upscale_latents: float | dict[str, Any] | None = None,
        tpu_warmup: dict[str, Any] | None = None,
        progress: Any = None,
        cancel: Any = None,
    ) -> Any:
        """Makes pictures, and returns a `PipelineOutput`.

        Where this differs from diffusers:

        - Each picture has its own seed: the first has `seed`, or the seed of `generator`, and each
          further picture has the next number. `generator` may be a list with one for each picture.
        - `latents` are refused: noise is drawn from the seed, as torch draws it on the CPU.
        - `callback_on_step_end` gets `None` for the timestep, and no tensors. If it sets
          `pipe._interrupt`, the call raises `Interrupted`.
        - `timesteps`, `sigmas` and `eta` are refused for a scheduler that does not take them, where
          diffusers ignores `eta`.
        - `loras` are the LoRA files of this call, each a path or a pair of a path and a weight.
          They change the weights for this call only: the next call begins with the model's own.
        - `prompt_2` and `negative_prompt_2`, which the second text encoder of Stable Diffusion XL
          reads, are given by name.
        - `prompt_syntax` is `"plain"` (diffusers' way), `"a1111"` or `"comfy"`: with one of the
          last two, `(cat:1.3)` is a weight, and long prompts are read in chunks of 75 tokens.
          `prompt_chunks` is the number of chunks that the denoiser's graph is for, which
          `warmup` and `lookup` take, too.
        - `image` and `mask_image` are those of diffusers' pipelines for image to image and for
          inpainting, as PIL images or as paths of PNG files; `strength` says how much of the image
          is made anew. `warmup(image_to_image=True)` warms for them, and `lookup` takes it, too.
        - `upscale_latents` is a factor, or a dictionary with `factor`, `strength` and `mode`: the
          picture is made in two passes, of which the second begins with the enlarged latents.
        - `tpu_warmup` is the block of a request file: what to warm before the run.
        """
        if latents is not None:
            raise InvalidRequest(
                "leave latents out and give a seed: noise is drawn from it on the host, as torch does"
            )
        if output_type not in ("pil", "np", "latent"):
            raise InvalidRequest(f"output_type is 'pil', 'np' or 'latent', not {output_type!r}")
        self._interrupt = False
        if callback_on_step_end is not None:
            progress, cancel = self._calling(callback_on_step_end, progress, cancel)
        with tempfile.TemporaryDirectory(prefix="preheat-") as scratch:
            requests = self._requests(
                prompt, negative_prompt, num_images_per_prompt, _seeds(generator, seed),
                width=width, height=height, steps=num_inference_steps, cfg_scale=guidance_scale,
                clip_skip=clip_skip, scheduler=scheduler, loras=_loras(loras),
                tpu_warmup=tpu_warmup, eta=eta, timesteps=_numbers(timesteps),
                sigmas=_numbers(sigmas), prompt_2=prompt_2, negative_prompt_2=negative_prompt_2,
                prompt_syntax=prompt_syntax, prompt_chunks=prompt_chunks,
                image=_picture("image", image, scratch), strength=strength,
                mask=_picture("mask_image", mask_image, scratch),
                upscale_latents=upscale_latents,
            )  # fmt: skip
            made = [self._run(request, progress, cancel) for request in requests]
        output = PipelineOutput(
            images=_images(made, output_type),
            seeds=[p["settings"]["seed"] for _, _, report in made for p in report["pictures"]],
            reports=[report for _, _, report in made],
            latents=[latents for _, latents, _ in made],
        )
        return output if return_dict else (output.images, None)

    def warmup(
        self,
        height: int | None = None,
        width: int | None = None,
        num_images_per_prompt: int = 1,
        *,
        guidance_scale: float | None = None,
        force_recompile: bool = False,
        progress: Any = None,
        cancel: Any = None,
        **request: Any,
    ) -> dict[str, Any]:
        """Makes ready what pictures of that size and number need, and runs each stage on zeros."""
        request.update(width=width, height=height, cfg_scale=guidance_scale)
        (one,) = self._requests("", None, num_images_per_prompt, None, **request)
        warmed: dict[str, Any] = self._native.warmup(
            one, force_recompile=force_recompile, progress=self._shown(progress), cancel=cancel
        )
        return warmed

    def lookup(
        self,
        height: int | None = None,
        width: int | None = None,
        num_images_per_prompt: int = 1,
        *,
        guidance_scale: float | None = None,
        **request: Any,
    ) -> dict[str, Any]:
        """Looks up whether pictures of that size and number would be made without a compile."""
        request.update(width=width, height=height, cfg_scale=guidance_scale)
        (one,) = self._requests("", None, num_images_per_prompt, None, **request)
        return dict(self._native.lookup(one))

    def signature(self, prompt: str = "", **request: Any) -> Any:
        """The execution signature of a request."""
        return self._native.signature(self._requests(prompt, None, 1, None, **request)[0])

    def unload(self) -> int:
        """Drops everything that the model has on the device. Returns how many bytes that were."""
        return int(self._native.unload())

    def _requests(
        self,
        prompt: str | Sequence[str],
        negative: str | Sequence[str] | None,
        images: int,
        seeds: list[int] | None,
        **fields: Any,
    ) -> list[str]:
        """Each run that the call takes, as the JSON of a request file."""
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        negatives = _for_each("negative prompts", negative, len(prompts))
        second = {
            "prompt_2": _for_each("second prompts", fields.pop("prompt_2", None), len(prompts)),
            "negative_prompt_2": _for_each(
                "second negative prompts", fields.pop("negative_prompt_2", None), len(prompts)
            ),
        }
        if seeds is not None and len(seeds) not in (1, images * len(prompts)):
            raise InvalidRequest(
                f"give one generator, or one for each picture: {len(seeds)} were given for "
                f"{images * len(prompts)} pictures"
            )
        if fields.get("cfg_scale") is None:
            fields["cfg_scale"] = 5.0 if "XL" in self._class else 7.5
        fields = {name: value for name, value in fields.items() if value is not None}
        requests = []
        for index, (one, other) in enumerate(zip(prompts, negatives, strict=True)):
            first = index * images
            runs: list[tuple[int | None, int]] = [(None, images)]
            if seeds is not None and len(seeds) > 1:
                runs = _runs(seeds[first : first + images])
            elif seeds is not None:
                runs = [(seeds[0] + first, images)]
            for seed, count in runs:
                request = {**fields, "prompt": one, "seed": seed, "batch_size": count}
                if other is not None:
                    request["negative_prompt"] = other
                for name, texts in second.items():
                    if (text := texts[index]) is not None:
                        request[name] = text
                requests.append(_as_json(request))
        return requests

    def _run(self, request: str, progress: Any, cancel: Any) -> Any:
        return self._native.run(request, progress=self._shown(progress), cancel=cancel)

    def _shown(self, progress: Any) -> Any:
        return False if progress is None and not self._shows_progress else progress

    def _calling(self, callback: Any, progress: Any, cancel: Any) -> tuple[Any, Any]:
        cancel = cancel or _native.Cancel()
        bars = None
        if progress is None and self._shows_progress:
            from preheat._progress import shown

            bars = shown()
        elif callable(progress):
            bars = progress

        def told(event: dict[str, Any]) -> None:
            if bars is not None:
                bars(event)
            if event["event"] == "step" and event["done"] > 0:
                callback(self, event["done"] - 1, None, {})
                if self._interrupt:
                    cancel.cancel()

        return told, cancel


def _for_each(what: str, given: str | Sequence[str] | None, prompts: int) -> list[str | None]:
    """One text for each prompt: the same for all, or one of a list."""
    texts = [given] * prompts if given is None or isinstance(given, str) else list(given)
    if len(texts) != prompts:
        raise InvalidRequest(f"give as many {what} as prompts: {len(texts)} and {prompts}")
    return list(texts)


def _autocast_of_context() -> bool | None:
    """The value of the `tpu_context.autocast_context` around this call; `None` without one."""
    tpu = sys.modules.get("preheat.tpu")
    value: bool | None = tpu._autocast.get() if tpu is not None else None
    return value


def _as_json(request: dict[str, Any]) -> str:
    try:
        return json.dumps(request, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"an argument is neither text nor a finite number: {error}") from None


def _numbers(given: Sequence[Any] | None) -> list[Any] | None:
    """The numbers of a list, an array or a tensor, as JSON has them."""
    if given is None:
        return None
    return [one.item() if hasattr(one, "item") else one for one in given]


def _picture(name: str, given: Any, folder: str) -> str | None:
    """The path of a picture. A PIL image is written into `folder`."""
    if given is None or isinstance(given, (str, os.PathLike)):
        return None if given is None else os.fspath(given)
    if not hasattr(given, "save"):
        raise InvalidRequest(f"give {name} as a PIL image, or as the path of a PNG file")
    path = os.path.join(folder, f"{name}.png")
    given.save(path)
    return path


def _loras(given: Sequence[Any] | None) -> list[dict[str, Any]] | None:
    """LoRAs as a request file has them: each one a path, or a pair of a path and a weight."""
    if given is None:
        return None
    if isinstance(given, (str, os.PathLike)):
        given = [given]
    pairs = [one if isinstance(one, (list, tuple)) else (one, 1.0) for one in given]
    if any(len(pair) != 2 for pair in pairs):
        raise InvalidRequest("give each LoRA as a path, or as a pair of a path and a weight")
    return [{"path": os.fspath(path), "weight": float(weight)} for path, weight in pairs]


def _runs(seeds: list[int]) -> list[tuple[int | None, int]]:
    """The first seed and the batch of each run. A batch has consecutive seeds."""
    starts = [i for i, seed in enumerate(seeds) if i == 0 or seed != seeds[i - 1] + 1]
    ends = [*starts[1:], len(seeds)]
    return [(seeds[start], end - start) for start, end in zip(starts, ends, strict=True)]


def _seeds(generator: Any, seed: int | None) -> list[int] | None:
    if generator is None:
        return None if seed is None else [seed]
    if seed is not None:
        raise InvalidRequest("give a seed or a generator, and not both")
    generators = generator if isinstance(generator, (list, tuple)) else [generator]
    return [int(one.initial_seed()) % 2**64 for one in generators]


def _is_dtype(given: Any) -> bool:
    return not isinstance(given, str) and "float" in _dtype_name(given)


def _dtype_name(dtype: Any) -> str:
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    return str(name).removeprefix("torch.")


def _precision(dtype: Any) -> str:
    name = dtype if isinstance(dtype, str) else _dtype_name(dtype)
    short = {"float32": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16"}
    return short.get(name, name)


def _is_on(wanted: str, selected: str) -> bool:
    is_cpu = wanted == "cpu" and selected == "xla-cpu"
    return wanted in (selected, selected.split(":")[0]) or is_cpu


def _download(
    name: str, variant: str | None, revision: str | None, token: Any, local_files_only: bool
) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ModelError(
            f"{name} is not a folder; if it is a name of the Hugging Face Hub, install "
            "huggingface_hub (`pip install huggingface_hub`)"
        ) from None
    parts = ("unet", "vae", "text_encoder", "text_encoder_2")
    wanted = ["model_index.json", "scheduler/*.json", "tokenizer/*", "tokenizer_2/*"]
    wanted += [f"{part}/*.json" for part in parts]
    if variant:
        wanted += [f"{part}/*.{variant}*.safetensors" for part in parts]
        unwanted: list[str] = []
    else:
        wanted += [f"{part}/*.safetensors" for part in parts]
        unwanted = ["*.fp16*.safetensors", "*.bf16*.safetensors", "*.non_ema*.safetensors"]
    return Path(
        snapshot_download(
            name,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            allow_patterns=wanted,
            ignore_patterns=unwanted,
        )
    )


def _images(made: list[Any], output_type: str) -> Any:
    if output_type == "latent":
        return _latents([latents for _, latents, _ in made])
    pictures = [picture for pictures, _, _ in made for picture in pictures]
    if output_type == "pil":
        try:
            from PIL import Image
        except ImportError:
            pass
        else:
            return [Image.frombytes("RGB", (w, h), rgb) for w, h, rgb in pictures]
    import numpy

    arrays = [numpy.frombuffer(rgb, numpy.uint8).reshape(h, w, 3) for w, h, rgb in pictures]
    if output_type == "pil":
        return arrays
    return numpy.stack(arrays).astype(numpy.float32) / 255


def _latents(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    import numpy

    return numpy.concatenate([part.numpy() for part in parts])
