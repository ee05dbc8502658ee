"""How does one network serve every size and batch, with its weights on the device once?"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from preheat import _native
from preheat._denoiser import Denoiser, _float32
from preheat._errors import InvalidRequest, NotWarm

#: What a `Denoiser` is compiled for: the height and the width of the latents, batch, and tokens.
Size = tuple[int, int, int, int]

#: How many sizes stay loaded. Beyond that, the least recently used one is dropped.
_MOST_SIZES = 16


class Denoisers:
    """The network of a model for samplers that call it at several sizes and batches.

        network = preheat.Denoisers(unet_config)
        network.warm(64, 64, batch=2)  # before somebody waits
        network.load(state_dict)  # after at least one size is warm
        predicted = network(latents, timestep, context)  # of any shape

    Each size is compiled once. A batch that would have to be compiled is run in smaller batches
    that are loaded, or in two warm halves, if that is possible. All sizes share one copy of the
    weights on the device.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        dtype: Any = "float32",
        *,
        joined: bool = False,
        name: str = "denoiser",
        runtime: Any = None,
        **settings: Any,
    ) -> None:
        """The arguments are those of `Denoiser`, except those that say the size."""
        if runtime is None:
            runtime = _native.Runtime(**settings)
        elif settings:
            names = ", ".join(sorted(settings))
            raise TypeError(f"give {names} to the Runtime: it is made already")
        self.runtime = runtime
        self._config, self._dtype, self._joined, self._name = dict(config), dtype, joined, name
        self._lock = threading.RLock()
        self._sizes: OrderedDict[Size, Denoiser] = OrderedDict()
        # The denoiser that holds the weights on the device, where they stay as long as it exists.
        self._keeper: Denoiser | None = None

    def warm(
        self,
        height: int,
        width: int,
        batch: int = 1,
        tokens: int = 77,
        *,
        force_recompile: bool = False,
        require_warm: bool | None = None,
        progress: Any = None,
        cancel: Any = None,
    ) -> dict[str, Any]:
        """Compiles or loads one size. Returns the report of its `Denoiser`.

        `loaded` in it says whether the size was loaded already.
        """
        size = (height, width, batch, tokens)
        return self._obtain(
            size, warming=True, force_recompile=force_recompile, require_warm=require_warm,
            progress=progress, cancel=cancel,
        )  # fmt: skip

    def _obtain(
        self,
        size: Size,
        *,
        warming: bool,
        force_recompile: bool = False,
        require_warm: bool | None,
        progress: Any,
        cancel: Any,
    ) -> dict[str, Any]:
        """Compiles or loads one size, for a warmup or for a call that waits."""
        with self._lock:
            found = self._sizes.get(size)
            if found is not None and not force_recompile:
                self._sizes.move_to_end(size)
                return {**found.report, "loaded": True}
            made = Denoiser(
                self._config, *size, self._dtype, name=self._name, joined=self._joined,
                runtime=self.runtime, force_recompile=force_recompile, require_warm=require_warm,
                warming=warming, progress=progress, cancel=cancel,
            )  # fmt: skip
            if self._keeper is not None:
                made.share(self._keeper)
            self._sizes[size] = made
            while len(self._sizes) > _MOST_SIZES:
                self._sizes.popitem(last=False)
            return {**made.report, "loaded": False}

    def lookup(self, height: int, width: int, batch: int = 1, tokens: int = 77) -> dict[str, Any]:
        """Looks up whether exactly this size is warm. Nothing is compiled or loaded."""
        return dict(
            _native.Network.lookup(
                self.runtime, json.dumps(self._config), (width, height), batch, tokens,
                self._dtype, name=self._name, joined=self._joined,
            )
        )  # fmt: skip

    def weights(self) -> dict[str, tuple[int, ...]]:
        """The name and the shape of every weight. At least one size must be loaded (`warm`)."""
        with self._lock:
            return self._any().weights

    def load(self, weights: Mapping[str, Any]) -> None:
        """Brings weights to the device, for every size. At least one size must be loaded (`warm`).

        A part of them may be given later, to replace these.
        """
        with self._lock:
            keeper = self._keeper or self._any()
            keeper.load(weights)
            self._keeper = keeper
            for one in self._sizes.values():
                if one is not keeper:
                    one.share(keeper)

    def unload(self) -> None:
        """Drops the weights, and with them their memory on the device. Sizes stay loaded."""
        with self._lock:
            for one in (self._keeper, *self._sizes.values()):
                if one is not None:
                    one.unload()
            self._keeper = None

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are on the device."""
        with self._lock:
            return self._keeper is not None

    @property
    def sizes(self) -> list[Size]:
        """The sizes that are ready to run: height, width, batch, tokens."""
        with self._lock:
            return list(self._sizes)

    def prepare(
        self,
        height: int,
        width: int,
        batch: int,
        tokens: int,
        *,
        require_warm: bool | None = None,
        progress: Any = None,
        cancel: Any = None,
    ) -> list[int]:
        """Makes a call with these sizes ready, and returns the batches in which it will be run.

        A batch that is not warm is split into equal batches that are loaded, or into two warm
        halves, or is run in a loaded batch of twice its size. If none of these is possible, it is
        compiled, unless `require_warm` forbids this.
        """
        with self._lock:
            if self._get(height, width, batch, tokens):
                return [batch]
            for part in (b for b in range(batch - 1, 0, -1) if batch % b == 0):
                # Of the sizes that are not loaded, only half the batch is looked up, because
                # guidance doubles a batch.
                is_half = part * 2 == batch
                if (height, width, part, tokens) in self._sizes or (
                    is_half and self._get(height, width, part, tokens)
                ):
                    return [part] * (batch // part)
            if (height, width, batch * 2, tokens) in self._sizes:
                return [batch * 2]
            self._obtain(
                (height, width, batch, tokens),
                warming=False, require_warm=require_warm, progress=progress, cancel=cancel,
            )  # fmt: skip
            return [batch]

    def _get(self, height: int, width: int, batch: int, tokens: int) -> bool:
        """Whether this size is ready, or was loaded just now without a compile."""
        size = (height, width, batch, tokens)
        if size in self._sizes:
            return True
        if self.lookup(*size)["verdict"] != "hit":
            return False
        try:
            self._obtain(
                size, warming=False, require_warm=True, progress=False, cancel=None
            )
        except NotWarm:  # somebody removed it meanwhile
            return False
        return True

    def _any(self) -> Denoiser:
        for one in self._sizes.values():
            return one
        raise InvalidRequest("warm a size first: warm(height, width)")

    def __call__(
        self,
        x: Any,
        timestep: float,
        context: Any,
        *,
        text_embeds: Any = None,
        time_ids: Any = None,
        y: Any = None,
        require_warm: bool | None = None,
        progress: Any = None,
        cancel: Any = None,
    ) -> Any:
        """The prediction for noisy latents `x` of any shape, as `Denoiser` gives it.

        It is a `Tensor`, or an array of numpy if the batch was split.
        """
        import numpy

        rows = {"x": x, "context": context}
        rows.update(text_embeds=text_embeds, time_ids=time_ids, y=y)
        # Arrays of numpy, which can be split. The array of a `Tensor` has the same memory.
        given = {
            name: numpy.asarray(_float32(one)) for name, one in rows.items() if one is not None
        }
        batch, _, height, width = given["x"].shape
        tokens = given["context"].shape[1]
        with self._lock:
            parts = self.prepare(
                height, width, batch, tokens,
                require_warm=require_warm, progress=progress, cancel=cancel,
            )  # fmt: skip
            denoiser = self._sizes[(height, width, parts[0], tokens)]
            self._sizes.move_to_end((height, width, parts[0], tokens))
        outputs = []
        for start in range(0, batch, parts[0]):
            some = {name: one[start : start + parts[0]] for name, one in given.items()}
            if parts[0] > batch:
                # The rows of a batch do not depend on each other, so copies can fill a batch that
                # is too large.
                some = {name: numpy.concatenate([one, one]) for name, one in some.items()}
            noisy, prompt = some.pop("x"), some.pop("context")
            outputs.append(denoiser(noisy, timestep, prompt, cancel=cancel, **some))
        if len(outputs) == 1 and parts[0] == batch:
            return outputs[0]
        return numpy.concatenate([numpy.asarray(one) for one in outputs])[:batch]
