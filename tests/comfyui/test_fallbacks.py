"""Does torch compute what preheat cannot serve, and are these calls counted and reported?"""

import numpy
import pytest
import workflows

CASES = {
    "FreeU": ("FreeU_V2", {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}, "output_block_patch"),
    "Kohya's deep shrink": (
        "PatchModelAddDownscale",
        {
            "block_number": 1, "downscale_factor": 2.0, "start_percent": 0.0, "end_percent": 1.0,
            "downscale_after_skip": True, "downscale_method": "bicubic",
            "upscale_method": "bicubic",
        },
        "input_block_patch",
    ),
    "attention to itself": ("SelfAttentionGuidance", {"scale": 0.5, "blur_sigma": 2.0}, "attn1"),
    "HyperTile": (
        "HyperTile",
        {"tile_size": 64, "swap_size": 2, "max_depth": 0, "scale_depth": False},
        "attn1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_patches_of_the_network_are_computed_by_torch(server, case):
    kind, inputs, word = CASES[case]
    save = workflows.name()
    theirs = server.latents(
        workflows.sampling("sd1", save, on_preheat=False, patches=[(kind, inputs)]), save
    )
    before = server.stats()["comfyui"]
    save = workflows.name()
    ours = server.latents(
        workflows.sampling("sd1", save, on_preheat=True, patches=[(kind, inputs)]), save
    )
    after = server.stats()["comfyui"]
    assert after["calls_on_torch"] > before["calls_on_torch"]
    reasons = [
        reason
        for reason, count in after["reasons"].items()
        if count > before["reasons"].get(reason, 0)
    ]
    assert any(word in reason for reason in reasons), reasons
    assert f"because of {reasons[0]}" in server.text()
    # preheat serves the calls that the patch does not change. So the latents are equal, or nearly
    # equal.
    assert numpy.abs(ours - theirs).max() <= 1e-4 * numpy.abs(theirs).max()
