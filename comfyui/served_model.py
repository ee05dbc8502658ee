"""How does a MODEL run on preheat under every sampler node?

`optimised` wraps the network of a clone of the MODEL. ComfyUI then samples as always, and each call
of the network comes here. The weights are those of the patcher that samples, which may be a later
clone with LoRAs. Each call compares its `patches_uuid` with that of the loaded weights, and sends
only the changed weights to the device. This compiles nothing.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

import comfy.model_management
import preheat
import torch
from comfy.patcher_extension import CallbacksMP, WrappersMP

from .fallbacks import calls, log, reason_in_call, reason_in_patcher
from .network import NotServed, Weights, diffusers_config, names_of
from .pipeline_nodes import state_of
from .runtimes import Settings, runtime
from .watch import Watch, interruptible

_KEY = "preheat"
#: How many tokens a chunk of a prompt has.
CHUNK_TOKENS = 77


class ServedNetwork:
    """One model's network on one device: its executables, and its weights while they are in use."""

    def __init__(self, base: Any, settings: Settings) -> None:
        self.name = type(base.model_config).__name__
        self.settings = settings
        self._base = weakref.ref(base)
        # This is the config of the network that was made. The config that ComfyUI passes to the
        # constructor of `model_config` can have other numbers of heads.
        self._unet = dict(base.model_config.unet_config)
        self._lock = threading.RLock()
        self._network = denoisers(self.name, self._unet, settings)
        self._names: dict[str, str] = {}
        self._loaded: tuple[Any, frozenset[str]] | None = None
        self._said: set[str] = set()

    def warm(
        self, height: int, width: int, batch: int, tokens: int, force: bool, watch: Watch
    ) -> dict[str, Any]:
        """Compiles or loads one size, and returns how it was obtained."""
        began = time.monotonic()
        report = self._network.warm(
            height, width, batch, tokens,
            force_recompile=force, progress=watch.event, cancel=watch.cancel,
        )  # fmt: skip
        return {
            "stage": f"denoiser, batch {batch}, {tokens} tokens",
            "state": "already there" if report["loaded"] else state_of(report["source"]),
            "seconds": round(time.monotonic() - began, 3),
            "expected_seconds": watch.expected_seconds,
            "compile_seconds": report.get("compile_seconds") or 0.0,
            "graph_key": report.get("graph_key"),
        }

    def bring_weights(self, patcher: Any) -> int:
        """Sends the weights that the device does not have yet. Returns how many those were."""
        with self._lock:
            patched = frozenset(patcher.patches)
            if self._loaded is not None and self._loaded[0] == patcher.patches_uuid:
                return 0
            self._names = self._names or names_of(self._unet, self._network.weights())
            names = self._names
            if self._loaded is not None:
                changed = patched | self._loaded[1]
                names = {name: key for name, key in names.items() if key in changed}
            # An interrupt can leave a mixture of old and new weights. Then all are sent the next
            # time.
            self._loaded = None
            self._network.load(Weights(patcher, names))
            self._loaded = (patcher.patches_uuid, patched)
            return len(names)

    def unload(self) -> None:
        """Frees the device's memory of the weights."""
        with self._lock:
            self._loaded = None
            self._network.unload()

    def report(self) -> dict[str, Any]:
        """The state of the network, as the API shows it."""
        return {
            "network": self.name,
            "device": self._network.runtime.device["selected"],
            "dtype": self.settings.dtype(),
            "weights_on_device": self._network.is_loaded,
            "sizes": [
                dict(zip(("height", "width", "batch", "tokens"), size, strict=True))
                for size in self._network.sizes
            ],
        }

    def __call__(
        self,
        executor: Any,
        x: torch.Tensor,
        timesteps: torch.Tensor,
        context: torch.Tensor | None = None,
        y: torch.Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **others: Any,
    ) -> torch.Tensor:
        """Answers a call of the network: with preheat, or else with torch."""
        options = {} if transformer_options is None else transformer_options
        try:
            patcher = getattr(self._base(), "current_patcher", None)
            if patcher is None:
                raise NotServed("a call outside of sampling")
            reason = reason_in_patcher(patcher)
            reason = reason or reason_in_call(
                executor, x, timesteps, context, control, options, others
            )
            if reason is not None:
                raise NotServed(reason)
            predicted = interruptible(
                lambda watch: self._predict(patcher, x, timesteps, context, y, watch)
            )
        except NotServed as why:
            self._say(str(why))
        except preheat.PreheatError as error:
            self._say(f"an error: {error}")
        else:
            calls.served()
            return predicted
        return executor(x, timesteps, context, y, control, transformer_options, **others)

    def _predict(
        self, patcher: Any, x: Any, timesteps: Any, context: Any, y: Any, watch: Watch
    ) -> torch.Tensor:
        given = {} if y is None else {"y": y}
        batch, _, height, width = x.shape
        self._network.prepare(
            height, width, batch, context.shape[1], progress=watch.event, cancel=watch.cancel
        )
        self.bring_weights(patcher)
        predicted = self._network(
            x, float(timesteps.flatten()[0]), context,
            progress=watch.event, cancel=watch.cancel, **given,
        )  # fmt: skip
        return torch.from_dlpack(predicted).to(device=x.device, dtype=x.dtype)

    def _say(self, reason: str) -> None:
        calls.fell_back(reason)
        if reason not in self._said:
            self._said.add(reason)
            words = "preheat: torch computes the network of %s, because of %s"
            log.warning(words, self.name, reason)


def denoisers(name: str, unet: dict[str, Any], settings: Settings) -> preheat.Denoisers:
    """The network of a family such as `SD15`, with ComfyUI's config of it. Nothing is compiled."""
    return preheat.Denoisers(
        diffusers_config(unet), settings.dtype(), joined=True, name=f"comfyui-{name.lower()}",
        runtime=runtime(settings),
    )  # fmt: skip


#: The networks of each model that is in memory. ComfyUI's clones of a MODEL share the model.
_served: weakref.WeakKeyDictionary[Any, dict[Settings, ServedNetwork]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def served(model: Any, settings: Settings) -> ServedNetwork:
    """The network of a MODEL, made once for the same settings."""
    with _lock:
        of_model = _served.setdefault(model.model, {})
        key = settings.with_(padding_multiple_px=64, offload="auto")
        if key not in of_model:
            of_model[key] = ServedNetwork(model.model, key)
        return of_model[key]


def all_served() -> list[ServedNetwork]:
    """Every network in this process."""
    with _lock:
        return [one for of_model in _served.values() for one in of_model.values()]


def settings_of(model: Any) -> Settings | None:
    """The settings of a MODEL that is optimised already."""
    for wrapper in model.get_wrappers(WrappersMP.DIFFUSION_MODEL, _KEY):
        if isinstance(wrapper, ServedNetwork):
            return wrapper.settings
    return None


def optimised(model: Any, settings: Settings) -> tuple[Any, ServedNetwork]:
    """A clone of a MODEL whose network runs on preheat."""
    network = served(model, settings)
    clone = plain(model)
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, _KEY, network)

    def detached(_patcher: Any, unpatch_all: bool = True) -> None:
        # If another clone of the same model takes over, not everything is unpatched, and the
        # weights stay on the device.
        if unpatch_all:
            network.unload()

    clone.add_callback_with_key(CallbacksMP.ON_DETACH, _KEY, detached)
    return clone, network


def plain(model: Any) -> Any:
    """A clone of a MODEL without preheat's wrapper, so that torch runs it."""
    clone = model.clone()
    clone.remove_wrappers_with_key(WrappersMP.DIFFUSION_MODEL, _KEY)
    clone.remove_callbacks_with_key(CallbacksMP.ON_DETACH, _KEY)
    return clone


def on_torch(model: Any, device: str, precision: str) -> Any:
    """A clone of a MODEL that ComfyUI's torch runs on `device`, without a libtorch of preheat's."""
    clone = plain(model)
    wanted = torch.device(device)
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("choose another device: torch finds no CUDA device here")
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("choose another device: torch finds no MPS device here")
    if clone.load_device.type != wanted.type:
        clone.load_device = wanted
    if precision != "auto":
        clone.set_model_compute_dtype(torch.bfloat16 if precision == "bf16" else torch.float32)
    return clone


def warm_up(
    model: Any,
    network: ServedNetwork,
    size_px: tuple[int, int],
    batch: int,
    guided: bool,
    chunks: int,
    force: bool,
) -> list[dict[str, Any]]:
    """Warms every batch size that sampling pictures of that size can need.

    With guidance, each step needs the network for the positive and for the negative prompt. ComfyUI
    joins both into one batch if it finds enough memory, and otherwise runs them one after the
    other. So both batch sizes occur.
    """
    width, height = size_px
    batches = [2 * batch, batch] if guided else [batch]
    stages = [
        interruptible(
            lambda watch, count=count: network.warm(
                height // 8, width // 8, count, CHUNK_TOKENS * chunks, force, watch
            )
        )
        for count in batches
    ]
    began = time.monotonic()
    count = network.bring_weights(model)
    stages.append(
        {
            "stage": "weights",
            "state": f"{count} sent to the device" if count else "already there",
            "seconds": round(time.monotonic() - began, 3),
            "expected_seconds": None,
            "compile_seconds": 0.0,
            "graph_key": None,
        }
    )
    return stages
