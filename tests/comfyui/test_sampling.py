"""Does KSampler get from preheat what it gets from torch, in the same server?"""

import numpy
import pytest
import workflows
from conftest import relative

LIMIT = 1e-4


def check(compared, served=None):
    difference, counts = compared
    print(f"relative difference {difference:.2e}, {counts}")
    assert difference <= LIMIT
    assert counts["calls_on_torch"] == 0
    assert counts["calls_served"] >= (served or 1)


@pytest.mark.small
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_every_family_is_recognised_and_served(compare, family):
    check(compare(family, sampler="dpmpp_2m", scheduler="karras"), served=3)


@pytest.mark.parametrize(
    "sampler", ["euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "ddim"]
)
@pytest.mark.parametrize("scheduler", ["normal", "karras", "simple"])
def test_samplers_and_schedulers(compare, sampler, scheduler):
    check(compare("sd1", sampler=sampler, scheduler=scheduler))


ONE = [("sd1_one.safetensors", 0.7)]
TWO = [("sd1_one.safetensors", 0.5), ("sd1_two.safetensors", -0.4)]


@pytest.mark.parametrize("loras", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("after", [False, True])
def test_loras_change_the_picture_and_compile_nothing(compare, server, loras, after):
    save = workflows.name()
    plain = server.latents(workflows.sampling("sd1", save, on_preheat=True), save)
    compiles = server.compiles()
    save = workflows.name()
    patched = server.latents(
        workflows.sampling("sd1", save, on_preheat=True, loras=loras, loras_after=after), save
    )
    assert relative(patched, plain) > 100 * LIMIT
    check(compare("sd1", loras=loras, loras_after=after))
    # Without the LoRAs, the latents equal the first ones: the LoRAs left nothing on the device.
    save = workflows.name()
    again = server.latents(workflows.sampling("sd1", save, on_preheat=True, seed=7), save)
    assert numpy.array_equal(again, plain)
    assert server.compiles() == compiles


@pytest.mark.small
def test_loras_of_the_other_families(compare):
    check(compare("sd2", loras=[("sd2_one.safetensors", 0.8)]))
    check(compare("sdxl", loras=[("sdxl_one.safetensors", 0.8)]))


@pytest.mark.parametrize("batch", [2, 4])
def test_batches(compare, batch):
    check(compare("sd1", batch=batch))


def test_a_size_that_is_no_multiple_of_64(compare):
    check(compare("sd1", width=72, height=104))
    check(compare("sdxl", width=88, height=72))


def test_v_prediction(compare):
    patch = ("ModelSamplingDiscrete", {"sampling": "v_prediction", "zsnr": False})
    check(compare("sd2", patches=[patch]))


def test_prompts_of_several_chunks_and_of_unequal_length(compare):
    check(compare("sd1", chunks=(2, 2)))
    check(compare("sd1", chunks=(2, 1)))


@pytest.mark.small
def test_no_guidance(compare):
    check(compare("sd1", cfg=1.0))


def test_a_real_prompt_with_clip_skip_and_a_decoded_picture(server):
    """The text encoder and the VAE are ComfyUI's own; only the network runs on preheat."""

    def prompt(save, on_preheat):
        made = workflows.sampling("sd1", save, on_preheat=on_preheat)
        made["skip"] = {
            "class_type": "CLIPSetLastLayer",
            "inputs": {"clip": ["load", 1], "stop_at_clip_layer": -2},
        }
        for name, words in (("positive", "the digit seven"), ("negative", "blurred")):
            made[name] = {
                "class_type": "CLIPTextEncode",
                "inputs": {"clip": ["skip", 0], "text": words},
            }
        made["decode"] = {
            "class_type": "VAEDecode",
            "inputs": {"samples": ["sample", 0], "vae": ["load", 2]},
        }
        made["picture"] = {"class_type": "PreviewImage", "inputs": {"images": ["decode", 0]}}
        return made

    latents = []
    for on_preheat in (False, True):
        save = workflows.name()
        latents.append(server.latents(prompt(save, on_preheat), save))
    assert relative(latents[1], latents[0]) <= LIMIT


def test_a_batch_that_is_not_warm_is_split_into_warm_ones(server):
    """Batch 4 with guidance needs batch 8 of the network, but only batch 4 is warm."""
    save = workflows.name()
    server.run(workflows.sampling("sd1", save, on_preheat=True, batch=2, width=128))
    before, compiles = server.stats(), server.compiles()
    save = workflows.name()
    split = server.latents(
        workflows.sampling("sd1", save, on_preheat=True, batch=4, width=128), save
    )
    after = server.stats()
    assert server.compiles() == compiles
    assert after["comfyui"]["calls_on_torch"] == before["comfyui"]["calls_on_torch"]
    save = workflows.name()
    theirs = server.latents(
        workflows.sampling("sd1", save, on_preheat=False, batch=4, width=128), save
    )
    assert relative(split, theirs) <= LIMIT
