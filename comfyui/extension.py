"""Which nodes are there, and what is set up beside them when ComfyUI starts?"""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import http_api, specification, warmup_block
from .pipeline_nodes import PreheatGenerate, PreheatLoadModel
from .tpu_nodes import (
    TPUCompilationCache,
    TPUDeviceInfo,
    TPUManualWarmup,
    TPUModelOptimization,
)


class PreheatExtension(ComfyExtension):
    """The nodes, and what `on_load` adds to the server."""

    async def on_load(self) -> None:
        """Registers the API and the names that the specification imports."""
        specification.register()
        http_api.register()
        warmup_block.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The nodes, in the order in which the menu has them."""
        return [
            TPUManualWarmup,
            TPUCompilationCache,
            TPUDeviceInfo,
            TPUModelOptimization,
            PreheatLoadModel,
            PreheatGenerate,
        ]


async def comfy_entrypoint() -> PreheatExtension:
    """The entry point that ComfyUI calls."""
    return PreheatExtension()
