"""preheat compiles the graphs of a diffusion pipeline with XLA once, keeps the executables on disk,
and loads them in a fraction of a second in every later process.

A program in StableHLO or HLO, or one that JAX lowered:

    import preheat

    runtime = preheat.Runtime()
    program = preheat.Program.read("unet_step.mlir")
    signature = preheat.create_execution_signature("unet", [1, 4, 32, 32], dtype="float32")
    unet = runtime.get_or_compile(signature, program)  # compiled once, ever
    (latents,) = unet(*inputs)  # arrays of numpy, torch or JAX

A model folder:

    pipeline = preheat.DiffusionPipeline.from_pretrained("models/sd15")
    pipeline("the digit seven", num_inference_steps=20, seed=7).images[0].save("seven.png")

Settings of `Runtime(device, **settings)`. Those that are flags of the command line, too, have the
same meaning there:

    device               (or PREHEAT_DEVICE) auto, tpu, cuda, cuda:N, mps, cpu, xla-cpu or xla-cuda
    strict_device        fail if the device is unavailable, instead of using the CPU
    tpu                  True: use a TPU or fail; False: never use one
    text_encoder_device, vae_device   devices of single stages, on libtorch's devices
    cache_dir            the folder of the cache
    cache_fallback       a list of caches that are only read
    cache_max_bytes      the most disk space that the cache may take
    cache_read_only      read the cache, and never write to it
    cache_shared         share the cache with the group of its folder
    use_cache            with False, compile every time
    require_warm         raise NotWarm instead of compiling
    manual_warmup        warn if something has to be compiled
    compile_effort       fast, balanced or full (full)
    for_programs         do not use the devices of libtorch, which run models only (True)
    target               hardware that need not be here, such as tpu:v5e:2x2: precompile() only
    plugin               the path of a PJRT plugin
    memory_limit_bytes   the most machine code in memory
    sync_steps           wait for the device after every N steps
    metrics              measure times, and collect the plugin's own figures

Long calls release the interpreter's lock, and stop at Ctrl-C within half a second. Most take
`cancel` (a `Cancel`). Those that can compile also take `progress` (a function that is called with
each event; `False` for none).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from preheat._errors import (
    CacheError,
    CompileError,
    DeviceError,
    Interrupted,
    InvalidRequest,
    ModelError,
    NotWarm,
    OutOfMemory,
    PreheatError,
    PreheatWarning,
)
from preheat._native import (
    Cache,
    Cancel,
    DeviceTensor,
    Executable,
    Program,
    Runtime,
    Signature,
    Tensor,
    __version__,
    create_execution_signature,
    devices,
    latent_shape,
    noise,
    normalize_shape,
)

if TYPE_CHECKING:
    from preheat._cli import RuntimeOptions, add_arguments
    from preheat._denoiser import Denoiser
    from preheat._denoisers import Denoisers
    from preheat._pipeline import DiffusionPipeline, PipelineOutput

__all__ = [
    "Cache",
    "CacheError",
    "Cancel",
    "CompileError",
    "Denoiser",
    "Denoisers",
    "DeviceError",
    "DeviceTensor",
    "DiffusionPipeline",
    "Executable",
    "Interrupted",
    "InvalidRequest",
    "ModelError",
    "NotWarm",
    "OutOfMemory",
    "PipelineOutput",
    "PreheatError",
    "PreheatWarning",
    "Program",
    "Runtime",
    "RuntimeOptions",
    "Signature",
    "Tensor",
    "__version__",
    "add_arguments",
    "create_execution_signature",
    "devices",
    "latent_shape",
    "noise",
    "normalize_shape",
]

# Names that not every program needs are imported when they are first used, so that `import preheat`
# stays under 50 ms.
_LAZY = {
    "Denoiser": "preheat._denoiser",
    "Denoisers": "preheat._denoisers",
    "DiffusionPipeline": "preheat._pipeline",
    "PipelineOutput": "preheat._pipeline",
    "RuntimeOptions": "preheat._cli",
    "add_arguments": "preheat._cli",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "tpu":
        return importlib.import_module("preheat.tpu")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'preheat' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "tpu"]
