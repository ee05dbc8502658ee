"""How do the config and the weights of ComfyUI's UNet get diffusers' names?

ComfyUI keeps the config in the terms of the original code. If a network has a part that preheat
does not build, `NotServed` names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import comfy.lora
import comfy.model_patcher
import comfy.utils
import torch

from .watch import is_interrupted

#: How many numbers Stable Diffusion XL embeds, and a number of features for each. They only have to
#: take less than the added vector: ComfyUI embeds the numbers itself, and the network takes the
#: whole vector.
_TIME_IDS, _TIME_SIZE = 6, 2

#: Fields that change the network, with the only value that is built.
_NEUTRAL = {
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "disable_self_attentions": None,
    "num_attention_blocks": None,
    "disable_middle_self_attn": False,
    "use_scale_shift_norm": False,
    "resblock_updown": False,
    "n_embed": None,
    "conv_resample": True,
    "heatmap_head": False,
    "dims": 2,
}


class NotServed(Exception):
    """preheat cannot run this. The message completes "torch computes it, because of ..."."""


def diffusers_config(unet: Mapping[str, Any]) -> dict[str, Any]:
    """The config of diffusers' UNet2DConditionModel for ComfyUI's `model_config.unet_config`."""
    if "num_res_blocks" not in unet or "transformer_depth_output" not in unet:
        raise NotServed("a network that is no UNet of Stable Diffusion 1, 2 or XL")
    for field, value in _NEUTRAL.items():
        if unet.get(field, value) != value:
            raise NotServed(f"the network's {field}")
    resnets = list(unet["num_res_blocks"])
    channels = [unet["model_channels"] * by for by in unet["channel_mult"]]
    down, up = list(unet["transformer_depth"]), list(unet["transformer_depth_output"])
    middle = unet.get("transformer_depth_middle") or 0
    if middle < 1:
        raise NotServed("a middle block without attention")
    layers, down_types, up_types = [], [], []
    for count in resnets:
        on_the_way = [down.pop(0) for _ in range(count)] + [up.pop(0) for _ in range(count + 1)]
        if len(set(on_the_way)) != 1:
            raise NotServed("transformers of different depth in one block")
        depth = on_the_way[0]
        layers.append(depth or 1)
        down_types.append("CrossAttnDownBlock2D" if depth else "DownBlock2D")
        up_types.insert(0, "CrossAttnUpBlock2D" if depth else "UpBlock2D")
    if down_types[-1].startswith("Cross") and layers[-1] != middle:
        raise NotServed("a middle block of another depth than the last")
    layers[-1] = middle
    config = {
        "in_channels": unet["in_channels"],
        "out_channels": unet["out_channels"],
        "block_out_channels": channels,
        "layers_per_block": resnets,
        "down_block_types": down_types,
        "up_block_types": up_types,
        "transformer_layers_per_block": layers,
        # diffusers uses the name of a head's dimension for the number of heads.
        "attention_head_dim": [_heads(unet, size) for size in channels],
        "cross_attention_dim": unet["context_dim"],
        "use_linear_projection": bool(unet.get("use_linear_in_transformer")),
    }
    added = unet.get("adm_in_channels")
    if added:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = _TIME_SIZE
        config["projection_class_embeddings_input_dim"] = added
        if added <= _TIME_IDS * _TIME_SIZE:
            raise NotServed(f"an added vector of only {added} numbers")
    return config


def _heads(unet: Mapping[str, Any], channels: int) -> int:
    size = unet.get("num_head_channels", -1)
    return int(unet["num_heads"] if size == -1 else channels // size)


class Weight:
    """A weight with its patches, computed when it is read, so that few are in memory at once."""

    def __init__(self, base: torch.Tensor, patches: list[Any], key: str) -> None:
        self._base, self._patches, self._key = base, patches, key
        self.shape = tuple(base.shape)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import comfy.model_management

        if is_interrupted():
            comfy.model_management.throw_exception_if_processing_interrupted()
        weight = self._base.detach().to(device="cpu", dtype=torch.float32)
        if self._patches:
            # The patches are added in place.
            weight = comfy.lora.calculate_weight(self._patches, weight.clone(), self._key)
        array = weight.numpy()
        return array if dtype is None else array.astype(dtype, copy=False)


class Weights(Mapping[str, Weight]):
    """Some or all weights of a patcher's network, under diffusers' names."""

    def __init__(self, patcher: Any, names: Mapping[str, str]) -> None:
        self._patcher, self._names = patcher, dict(names)

    def __getitem__(self, name: str) -> Weight:
        key = self._names[name]
        weight, put, convert = comfy.model_patcher.get_key_weight(self._patcher.model, key)
        if put is not None or convert is not None or not torch.is_floating_point(weight):
            raise NotServed("quantised weights")
        # If ComfyUI has merged patches into the model's own weights, the originals are in the
        # backup.
        kept = self._patcher.backup.get(key)
        base = weight if kept is None else kept.weight
        return Weight(base, self._patcher.patches.get(key, []), key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def names_of(unet: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, str]:
    """ComfyUI's name of each wanted weight, by diffusers' name."""
    known = comfy.utils.unet_to_diffusers(dict(unet))
    missing = [name for name in wanted if name not in known]
    if missing:
        raise NotServed(f"weights that ComfyUI does not name, such as {missing[0]}")
    return {name: f"diffusion_model.{known[name]}" for name in wanted}
