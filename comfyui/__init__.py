"""What does ComfyUI get from preheat? Nodes, an optimised MODEL, and an API.

ComfyUI imports this folder when it starts, and calls `comfy_entrypoint` to get the nodes.
"""

from .extension import comfy_entrypoint

#: Where ComfyUI's page finds the help page of each node.
WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
