"""Which workflows do the tests queue? Those that people build: load, patch, sample, save."""

import itertools

FEATURES = {"sd1": 768, "sd2": 1024, "sdxl": 2048}
POOLED = {"sdxl": 1280}
_names = itertools.count()


def name():
    """A new name. It makes ComfyUI run a node again, instead of using the node's cached output."""
    return f"case{next(_names)}"


def conditioning(family, seed, chunks=1):
    inputs = {"seed": seed, "tokens": 77 * chunks, "features": FEATURES[family]}
    return {
        "class_type": "TestConditioning",
        "inputs": {**inputs, "pooled": POOLED.get(family, 0)},
    }


def sampling(
    family, save, *, on_preheat, sampler="euler", scheduler="normal", steps=3, cfg=4.0,
    width=64, height=64, batch=1, loras=(), patches=(), seed=7, chunks=(1, 1), warm=False,
    loras_after=False,
):  # fmt: skip
    """A workflow (ComfyUI's API calls it a prompt) that samples latents and saves them.

    `loras` are file names with strengths. `patches` are nodes that change the model, with their
    inputs. The LoRAs come before the optimisation, or after it with `loras_after`.
    """
    prompt = {
        "load": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": f"{family}.safetensors"},
        },
        "positive": conditioning(family, 1, chunks[0]),
        "negative": conditioning(family, 2, chunks[1]),
        "empty": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": width, "height": height, "batch_size": batch},
        },
    }
    model = ["load", 0]

    def add(key, kind, **inputs):
        nonlocal model
        prompt[key] = {"class_type": kind, "inputs": {"model": model, **inputs}}
        model = [key, 0]

    def optimise():
        if warm:
            add(
                "warm", "TPUManualWarmup", width=width, height=height, batch_size=batch,
                cfg_scale=cfg, device="xla-cpu", precision="fp32", force_recompile=False,
                token_chunks=max(chunks),
            )  # fmt: skip
        elif on_preheat:
            add(
                "optimise", "TPUModelOptimization", autocast_dtype="fp32", compilation_cache=True,
                shape_padding=True, shape_padding_multiple=64, compile_effort="full",
                offload="auto",
            )  # fmt: skip

    if loras_after:
        optimise()
    for at, (file, strength) in enumerate(loras):
        add(f"lora{at}", "LoraLoaderModelOnly", lora_name=file, strength_model=strength)
    if not loras_after:
        optimise()
    for at, (kind, inputs) in enumerate(patches):
        add(f"patch{at}", kind, **inputs)
    prompt["sample"] = {
        "class_type": "KSampler",
        "inputs": {
            "model": model, "positive": ["positive", 0], "negative": ["negative", 0],
            "latent_image": ["empty", 0], "seed": seed, "steps": steps, "cfg": cfg,
            "sampler_name": sampler, "scheduler": scheduler, "denoise": 1.0,
        },
    }  # fmt: skip
    prompt["save"] = {
        "class_type": "SaveLatent",
        "inputs": {"samples": ["sample", 0], "filename_prefix": save},
    }
    return prompt
