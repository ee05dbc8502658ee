"""What will a workflow ask of the network, as far as its nodes say so before it runs?

A workflow comes in the format of ComfyUI's API: nodes by id, each with a `class_type` and `inputs`.
An input is a value, or a link `[id of the other node, number of its output]`. This module only
reads. It neither imports ComfyUI nor asks preheat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Nodes that give a value under the name `value`.
_PRIMITIVES = ("PrimitiveInt", "PrimitiveFloat", "PrimitiveString", "PrimitiveStringMultiline")
#: Inputs with the model that a node changes and gives on.
_MODELS = ("model", "model1", "pipeline")
#: Nodes that change weights, the sampling or the guidance, but not the network itself.
_HARMLESS = (
    "CheckpointLoader", "CheckpointLoaderSimple", "LoraLoader", "LoraLoaderModelOnly", "ModelMerge",
    "ModelSampling", "Preheat", "RescaleCFG", "TPU", "UNETLoader", "unCLIPCheckpointLoader",
)  # fmt: skip
#: More nodes than this in a row are a circle.
_MOST_NODES = 200


class Unknown(Exception):
    """A fact that is known only when the workflow runs. The message says which and why."""


@dataclass(frozen=True)
class Sampling:
    """What one node that samples will ask of the network."""

    #: The node's id, its class, and its title on the page.
    node: str
    kind: str
    title: str
    #: The link to the model that it samples: the id of a node, and the number of its output.
    source: tuple[str, int]
    #: The nodes from that one up to the loader.
    path: list[str]
    #: Width and height in pixels, and how many pictures. `None` if it is not known before a run.
    size_px: tuple[int, int] | None
    batch: int | None
    cfg_scale: float
    #: The texts of the positive and the negative prompt. `None` for one that is not known.
    prompts: tuple[str | None, str | None]
    #: What is not known, and what could be different in the run.
    notes: list[str] = field(default_factory=list)

    @property
    def is_guided(self) -> bool:
        """Whether each step needs the network for the negative prompt, too."""
        return self.cfg_scale != 1.0


class Workflow:
    """A workflow in the format of ComfyUI's API."""

    def __init__(self, prompt: Mapping[str, Any]) -> None:
        self.nodes = {str(name): node for name, node in prompt.items()}

    def kind(self, node: str) -> str:
        """The class of a node."""
        return str(self.nodes[node].get("class_type", ""))

    def title(self, node: str) -> str:
        """The title of a node on the page."""
        meta = self.nodes[node].get("_meta")
        named = meta.get("title") if isinstance(meta, Mapping) else None
        return str(named or self.kind(node))

    def inputs(self, node: str) -> Mapping[str, Any]:
        """The inputs of a node."""
        given = self.nodes[node].get("inputs")
        return given if isinstance(given, Mapping) else {}

    def link(self, node: str, name: str) -> tuple[str, int] | None:
        """Where the input of that name comes from, if it is a link to a node of this workflow."""
        given = self.inputs(node).get(name)
        is_link = isinstance(given, list) and len(given) == 2 and isinstance(given[1], int)
        return (str(given[0]), given[1]) if is_link and str(given[0]) in self.nodes else None

    def value(self, node: str, name: str) -> Any:
        """The value of an input."""
        for _ in range(_MOST_NODES):
            if name not in self.inputs(node):
                raise Unknown(f"{self.title(node)} has no input {name}")
            link = self.link(node, name)
            if link is None:
                return self.inputs(node)[name]
            if self.kind(link[0]) not in _PRIMITIVES:
                raise Unknown(f"{name} comes from {self.title(link[0])}, which has not run")
            node, name = link[0], "value"
        raise Unknown("the links form a circle")

    def number(self, node: str, name: str) -> float:
        """The value of an input that is a number."""
        value = self.value(node, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Unknown(f"{name} of {self.title(node)} is no number")
        return float(value)

    def up(self, node: str, names: tuple[str, ...]) -> Iterator[str]:
        """The node, and those above it, along the first link that has one of these names."""
        passed: set[str] = set()
        while node not in passed:
            passed.add(node)
            yield node
            above = [found for name in names if (found := self.link(node, name))]
            if not above:
                return
            node = above[0][0]

    def latent(self, node: str, depth: int = 0) -> tuple[int, int, int]:
        """Width and height in pixels and the number of the latents that a node gives."""
        if depth > _MOST_NODES:
            raise Unknown("the links form a circle")
        kind = self.kind(node)
        if kind == "EmptyLatentImage":
            width, height = self.number(node, "width"), self.number(node, "height")
            return _pixels(width), _pixels(height), int(self.number(node, "batch_size"))
        link = self.link(node, "latent_image") or self.link(node, "samples")
        follows = kind in ("LatentUpscale", "LatentUpscaleBy", "RepeatLatentBatch")
        if link is None or not (follows or self.link(node, "latent_image")):
            raise Unknown(f"the size comes from {self.title(node)}, which has not run")
        width, height, batch = self.latent(link[0], depth + 1)
        if kind == "LatentUpscale":
            wanted = [self.number(node, name) for name in ("width", "height")]
            if not all(wanted):
                raise Unknown(f"{self.title(node)} keeps the proportions of latents")
            return _pixels(wanted[0]), _pixels(wanted[1]), batch
        if kind == "LatentUpscaleBy":
            by = self.number(node, "scale_by")
            return 8 * round(width // 8 * by), 8 * round(height // 8 * by), batch
        if kind == "RepeatLatentBatch":
            return width, height, batch * int(self.number(node, "amount"))
        return width, height, batch

    def text(self, node: str, depth: int = 0) -> str:
        """The text of a prompt. Of several texts, the longest."""
        kind = self.kind(node)
        if depth > _MOST_NODES:
            raise Unknown("the links form a circle")
        if kind == "CLIPTextEncode":
            return str(self.value(node, "text"))
        if kind == "CLIPTextEncodeSDXL":
            return max((str(self.value(node, name)) for name in ("text_g", "text_l")), key=len)
        link = self.link(node, "conditioning")
        if kind == "ConditioningZeroOut" and link:
            return self.text(link[0], depth + 1)
        raise Unknown(f"a prompt comes from {self.title(node)}: one chunk of tokens is assumed")

    def above(self, node: str) -> set[str]:
        """The node, and every node that it needs."""
        found, open_nodes = set(), [node]
        while open_nodes:
            one = open_nodes.pop()
            if one not in found:
                found.add(one)
                links = (self.link(one, name) for name in self.inputs(one))
                open_nodes += [link[0] for link in links if link]
        return found

    def samplings(self) -> list[Sampling]:
        """Every node that samples, in the order of the workflow."""
        found = (self._sampling(node) for node in self.nodes)
        return [one for one in found if one is not None]

    def _sampling(self, node: str) -> Sampling | None:
        pipeline = self.link(node, "pipeline")
        if self.kind(node) == "PreheatGenerate" and pipeline:
            notes: list[str] = []
            cfg_scale = self._cfg_scale(node, "cfg_scale", notes)
            return self._read(node, pipeline, cfg_scale, ("", ""), notes)
        guider = self.link(node, "guider")
        asking = guider[0] if guider else node
        source = self.link(asking, "model")
        if self.link(node, "latent_image") is None or source is None:
            return None
        notes = []
        guided = self.kind(asking) != "BasicGuider"
        cfg_scale = self._cfg_scale(asking, "cfg", notes) if guided else 1.0
        positive = self._prompt(asking, ("positive", "conditioning"), notes)
        negative = self._prompt(asking, ("negative",), notes) if cfg_scale != 1.0 else ""
        return self._read(node, source, cfg_scale, (positive, negative), notes)

    def _read(
        self,
        node: str,
        source: tuple[str, int],
        cfg_scale: float,
        prompts: tuple[str | None, str | None],
        notes: list[str],
    ) -> Sampling:
        size, batch = self._size(node, notes)
        path = list(self.up(source[0], _MODELS))
        changing = [one for one in path if not self.kind(one).startswith(_HARMLESS)]
        notes += [
            f"{self.title(one)} may change the network, and torch then computes it"
            for one in changing
        ]
        return Sampling(
            node, self.kind(node), self.title(node), source, path, size, batch, cfg_scale, prompts,
            notes,
        )  # fmt: skip

    def _cfg_scale(self, node: str, name: str, notes: list[str]) -> float:
        try:
            return self.number(node, name)
        except Unknown as why:
            notes.append(f"{why}: guidance is assumed")
            return 7.5

    def _size(self, node: str, notes: list[str]) -> tuple[tuple[int, int] | None, int | None]:
        try:
            if self.kind(node) == "PreheatGenerate":
                width, height = (int(self.number(node, name)) for name in ("width", "height"))
                batch = int(self.number(node, "batch_size"))
            else:
                width, height, batch = self.latent(node)
        except Unknown as why:
            notes.append(str(why))
            return None, None
        return (width, height), batch

    def _prompt(self, node: str, names: tuple[str, ...], notes: list[str]) -> str | None:
        link = next((found for name in names if (found := self.link(node, name))), None)
        try:
            if link is None:
                raise Unknown(f"{self.title(node)} has no {names[0]} prompt")
            return self.text(link[0])
        except Unknown as why:
            if str(why) not in notes:
                notes.append(str(why))
            return None


def _pixels(side: float) -> int:
    """A side of latents has whole numbers of eight pixels."""
    return int(side) // 8 * 8
