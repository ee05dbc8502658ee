"""How does a pipeline with samplers of its own use the network alone?"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preheat import _native
from preheat._errors import InvalidRequest, ModelError


class Denoiser:
    """A UNet of Stable Diffusion 1, 2 or XL, compiled without its weights.

        denoiser = preheat.Denoiser(unet_config, height=64, width=64, batch=2)
        denoiser.load(state_dict)  # arrays of numpy or torch, with diffusers' names
        predicted = denoiser(latents, timestep, context)

    Other weights can be loaded at any time, without a compile.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | str | os.PathLike[str],
        height: int,
        width: int,
        batch: int = 1,
        tokens: int = 77,
        dtype: Any = "float32",
        *,
        name: str = "denoiser",
        joined: bool = False,
        runtime: Any = None,
        force_recompile: bool = False,
        require_warm: bool | None = None,
        warming: bool = False,
        progress: Any = None,
        cancel: Any = None,
        **settings: Any,
    ) -> None:
        """`config` is that of diffusers' UNet2DConditionModel, or the path of its JSON file.

        `height` and `width` are those of the latents, an eighth of the picture's. `dtype` is the
        dtype in which the network computes: `float32`, `bfloat16` or `float16`. Inputs and outputs
        are float32. With `joined`, networks of Stable Diffusion XL take one vector `y`, as ComfyUI
        and the original code give it. Without a `runtime`, the settings of one may be given. With
        `warming`, the statistics count a compile as a warmup and not as a request that had to wait.
        """
        if runtime is None:
            runtime = _native.Runtime(**settings)
        elif settings:
            raise TypeError(
                f"give {', '.join(sorted(settings))} to the Runtime: it is made already"
            )
        if isinstance(config, Mapping):
            text = json.dumps(dict(config))
        else:
            text = Path(config).read_text("utf-8")
        self._native = _native.Network(
            runtime, text, (width, height), batch, tokens, dtype,
            name=name, joined=joined, force_recompile=force_recompile, require_warm=require_warm,
            warming=warming, progress=progress, cancel=cancel,
        )  # fmt: skip

    def load(self, weights: Mapping[str, Any]) -> None:
        """Brings weights to the device: every one that the network has, under diffusers' names.

        A part of them may be given later, to replace these. Names that the network does not have
        are refused.
        """
        wanted = self._native.weights
        places = {
            name: place for place, (own, others, *_) in enumerate(wanted) for name in (own, *others)
        }
        strays = [name for name in weights if name not in places]
        if strays:
            raise ModelError(
                f"leave {', '.join(sorted(strays)[:4])} out: the network has no such weights "
                f"({len(strays)} of {len(weights)})"
            )
        for name, array in weights.items():
            _check_shape(name, array, wanted[places[name]][2])
        for name, array in weights.items():
            place = places[name]
            self._native.set_weight(place, _as_read(array, *wanted[place][2:]))

    def share(self, other: Denoiser) -> None:
        """Takes the weights that `other`, the same network at another size, has on the device."""
        self._native.share(other._native)

    def unload(self) -> None:
        """Drops the weights. Their memory is given back unless another denoiser shares them."""
        self._native.unload()

    def __call__(
        self,
        x: Any,
        timestep: float,
        context: Any,
        *,
        text_embeds: Any = None,
        time_ids: Any = None,
        y: Any = None,
        cancel: Any = None,
    ) -> Any:
        """The prediction for noisy latents `x`, as a `Tensor` `[batch, channels, height, width]`.

        One timestep holds for the whole batch. Networks of Stable Diffusion XL also take
        `text_embeds` and `time_ids`, as `added_cond_kwargs` of diffusers has them, or `y` if it is
        `joined`.
        """
        inputs = [x, timestep, context]
        if y is not None:
            inputs.append(y)
        if text_embeds is not None or time_ids is not None:
            inputs += [text_embeds, time_ids]
        return self._native.run([_float32(one) for one in inputs], cancel=cancel)

    @property
    def weights(self) -> dict[str, tuple[int, ...]]:
        """The name and the shape of every weight."""
        return {name: tuple(dims) for name, _, dims, _, _ in self._native.weights}

    @property
    def report(self) -> dict[str, Any]:
        """How it was obtained: its `source`, `compile_seconds`, `load_seconds`, ..."""
        return dict(self._native.report)

    @property
    def signature(self) -> Any:
        """The execution signature."""
        return self._native.signature


def _numpy(array: Any) -> Any:
    """The values as an array of numpy."""
    import numpy

    if hasattr(array, "detach"):  # torch
        array = array.detach().cpu()
        if "bfloat16" in str(array.dtype):
            array = array.float()  # numpy has no bfloat16
        return array.numpy()
    return numpy.asarray(array)


def _float32(array: Any) -> Any:
    if isinstance(array, _native.Tensor):
        return array
    if array is None:
        raise InvalidRequest("give both text_embeds and time_ids")
    import numpy

    return numpy.asarray(_numpy(array), dtype=numpy.float32, order="C")


def _check_shape(name: str, array: Any, dims: list[int]) -> None:
    stripped = [list(shape) for shape in (array.shape, dims)]
    for shape in stripped:
        # A layer that is linear in one release is a 1x1 convolution in another.
        while shape and shape[-1] == 1:
            shape.pop()
    if stripped[0] != stripped[1]:
        raise ModelError(f"{name} is {list(array.shape)}, and the network reads {dims}")


def _as_read(array: Any, dims: list[int], order: list[int], dtype: str) -> Any:
    """A weight in the order and the dtype that the graph reads, in memory that nobody else has.

    If the device is the host, it reads dense memory in place. So memory of the caller is copied,
    because the caller may change it after this call.
    """
    import numpy

    values = _numpy(array)
    if dtype == "bfloat16":
        import ml_dtypes

        target: Any = ml_dtypes.bfloat16
    else:
        target = numpy.dtype(dtype)
    read = numpy.asarray(values.reshape(dims).transpose(order), dtype=target, order="C")
    return read.copy() if numpy.may_share_memory(read, values) else read
