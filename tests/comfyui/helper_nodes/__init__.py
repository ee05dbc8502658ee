"""Which nodes do only the tests use? Conditioning without a text encoder, and calls of the API."""

import json

import torch


class TestConditioning:
    """Returns random features in place of an encoded prompt."""

    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "make", ("CONDITIONING",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {name: ("INT", {"default": 0}) for name in
                             ("seed", "tokens", "features", "pooled")}}  # fmt: skip

    def make(self, seed, tokens, features, pooled):
        draw = torch.Generator().manual_seed(seed)
        more = {}
        if pooled:
            more["pooled_output"] = torch.randn(1, pooled, generator=draw)
        return ([[torch.randn(1, tokens, features, generator=draw), more]],)


class TestSpecification:
    """Shows what a program in ComfyUI's process gets from `comfy.tpu_xla`."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "tests", "ask", (), True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    @classmethod
    def IS_CHANGED(cls):
        return float("nan")

    def ask(self):
        from comfy.tpu_xla import get_tpu_stats, tpu_manager

        stats = get_tpu_stats()
        same = tpu_manager.get_stats()["cached_signatures"] == stats["cached_signatures"]
        return {"ui": {"text": [json.dumps({"stats": stats, "same": same})]}}


NODE_CLASS_MAPPINGS = {
    "TestConditioning": TestConditioning,
    "TestSpecification": TestSpecification,
}
