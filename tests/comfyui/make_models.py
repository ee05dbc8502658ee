"""Which models do the tests run? Small ones with random weights, in files that ComfyUI recognises.

    python make_models.py COMFYUI_FOLDER BASE_FOLDER

ComfyUI recognises a family by a few dimensions: the channels of the first layer, the features of
the prompt, and the depths of the transformers. These models have the real values of these
dimensions; all others are as small as possible. The files have the form that people download: one
checkpoint with all parts for each model, and LoRAs.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

COMFYUI, BASE = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
sys.path.insert(0, str(COMFYUI))
sys.argv = [sys.argv[0], "--cpu"]

import comfy.options  # noqa: E402

# Without this, ComfyUI ignores the flag `--cpu`.
comfy.options.enable_args_parsing()

import torch  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from comfy.taesd.taesd import TAESD  # noqa: E402
from comfy.utils import unet_to_diffusers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

COMMON = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320,
    "use_spatial_transformer": True, "legacy": False,
}  # fmt: skip
TWO_LEVELS = {
    "num_res_blocks": [1, 1], "channel_mult": [1, 1], "transformer_depth": [1, 0],
    "transformer_depth_output": [1, 1, 0, 0], "transformer_depth_middle": 1,
}  # fmt: skip
FAMILIES = {
    "sd1": {**COMMON, **TWO_LEVELS, "context_dim": 768, "num_heads": 8, "num_head_channels": -1},
    "sd2": {
        **COMMON, **TWO_LEVELS, "context_dim": 1024, "num_heads": -1, "num_head_channels": 64,
        "use_linear_in_transformer": True,
    },
    # The depths are those of KOALA, the smallest member of the family.
    "sdxl": {
        **COMMON, "num_res_blocks": [1, 1, 1], "channel_mult": [1, 1, 1],
        "transformer_depth": [0, 2, 5], "transformer_depth_output": [0, 0, 2, 2, 5, 5],
        "transformer_depth_middle": 5, "context_dim": 2048, "num_heads": -1,
        "num_head_channels": 64, "use_linear_in_transformer": True,
        "num_classes": "sequential", "adm_in_channels": 2816,
    },
}  # fmt: skip


def random_like(state: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Random values, scaled such that activations neither grow nor vanish from layer to layer."""
    draw = torch.Generator().manual_seed(seed)
    made = {}
    for name, tensor in state.items():
        values = torch.randn(tensor.shape, generator=draw)
        if tensor.ndim > 1:
            values /= math.sqrt(math.prod(tensor.shape[1:]))
        elif name.endswith("weight"):
            values = 1 + 0.1 * values
        else:
            values *= 0.02
        made[name] = values
    return made


def network(family: str, seed: int) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        shapes = UNetModel(**FAMILIES[family]).state_dict()
    return {
        f"model.diffusion_model.{name}": values
        for name, values in random_like(shapes, seed).items()
    }


def text_encoder(seed: int) -> dict[str, torch.Tensor]:
    """The text encoder of Stable Diffusion 1, in full size: ComfyUI supports no smaller one."""
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        shapes = CLIPTextModel(CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            projection_dim=768,
        )).state_dict()  # fmt: skip
    made = {}
    for name, values in random_like(shapes, seed).items():
        bare = name.removeprefix("text_model.")
        if "position_ids" not in bare:
            made[f"cond_stage_model.transformer.text_model.{bare}"] = values.half()
    return made


def lora(family: str, seed: int) -> dict[str, torch.Tensor]:
    """A LoRA of rank 4 over every attention, under the names that training programs write."""
    names = unet_to_diffusers(FAMILIES[family])
    shapes = network_shapes(family)
    draw = torch.Generator().manual_seed(seed)
    made = {}
    for theirs, ours in sorted(names.items()):
        if ".attn" not in theirs or not theirs.endswith(".weight") or ours not in shapes:
            continue
        rows, columns = shapes[ours]
        stem = "lora_unet_" + theirs.removesuffix(".weight").replace(".", "_")
        made[f"{stem}.lora_down.weight"] = torch.randn(4, columns, generator=draw) / 8
        made[f"{stem}.lora_up.weight"] = torch.randn(rows, 4, generator=draw) / 8
        made[f"{stem}.alpha"] = torch.tensor(4.0)
    return made


def network_shapes(family: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        state = UNetModel(**FAMILIES[family]).state_dict()
    return {name: tensor.shape for name, tensor in state.items()}


def main() -> None:
    checkpoints, loras = BASE / "models" / "checkpoints", BASE / "models" / "loras"
    for folder in (checkpoints, loras):
        folder.mkdir(parents=True, exist_ok=True)
    for seed, family in enumerate(FAMILIES):
        state = network(family, seed)
        if family == "sd1":
            state |= text_encoder(10)
            vae = random_like(TAESD().state_dict(), 20)
            state |= {f"first_stage_model.{name}": values for name, values in vae.items()}
        save_file(state, checkpoints / f"{family}.safetensors")
        save_file(lora(family, 30 + seed), loras / f"{family}_one.safetensors")
    save_file(lora("sd1", 40), loras / "sd1_two.safetensors")


main()
