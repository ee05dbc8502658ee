"""Does a program that was written for diffusers get its pictures by changing one import?"""

import inspect
import json
import subprocess

import numpy
import pytest
from conftest import DEMO_MODEL

import preheat
from preheat import _command
from preheat._pipeline import _runs


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def pipeline(cache):
    return preheat.DiffusionPipeline.from_pretrained(
        DEMO_MODEL, device="xla-cpu", cache_dir=cache
    )


def test_pixels_are_those_of_the_command_line(pipeline, cache, tmp_path):
    from PIL import Image as image
    file = tmp_path / "seven.png"
    subprocess.run(
        [
            _command.path(), "--device", "xla-cpu", "--cache-dir", str(cache), "run",
            "--model", str(DEMO_MODEL), "--prompt", "the digit seven", "--seed", "7",
            "--steps", "8", "--output", str(file),
        ],
        check=True,
    )  # fmt: skip
    made = pipeline("the digit seven", num_inference_steps=8, seed=7)
    assert made.images[0].tobytes() == image.open(file).convert("RGB").tobytes()
    assert pipeline.runtime.is_cached(pipeline.signature("the digit seven", steps=8))
    assert made.seeds == [7] and made.reports[0]["pictures"][0]["settings"]["steps"] == 8


def test_the_steps_are_those_of_diffusers():
    parameters = inspect.signature(preheat.DiffusionPipeline.__call__).parameters
    assert parameters["num_inference_steps"].default == 50
    for name in (
        "prompt", "negative_prompt", "height", "width", "num_inference_steps", "guidance_scale",
        "num_images_per_prompt", "generator", "latents", "clip_skip", "output_type",
        "callback_on_step_end", "return_dict",
    ):  # fmt: skip
        assert name in parameters


def test_lists_of_prompts_give_a_picture_each_with_seeds_in_a_row(pipeline):
    both = pipeline(["seven", "three"], num_inference_steps=2, seed=5, output_type="np")
    assert both.images.shape[0] == 2 and both.images.dtype == numpy.float32
    assert both.seeds == [5, 6]
    (second,) = pipeline("three", num_inference_steps=2, seed=6, output_type="np").images
    assert numpy.array_equal(both.images[1], second)
    assert [len(latents.shape) for latents in both.latents] == [4, 4]
    batch = pipeline("seven", num_inference_steps=2, seed=5, num_images_per_prompt=2)
    assert len(batch.images) == 2 and batch.seeds == [5, 6]


class Generator:
    """What torch.Generator offers."""

    def __init__(self, seed):
        self._seed = seed

    def initial_seed(self):
        return self._seed


def test_generators_give_their_seeds(pipeline):
    made = pipeline("seven", num_inference_steps=2, generator=Generator(9))
    assert made.seeds == [9]
    several = [Generator(3), Generator(11)]
    made = pipeline("seven", num_inference_steps=2, generator=several, num_images_per_prompt=2)
    assert made.seeds == [3, 11]
    assert _runs([3, 4, 9]) == [(3, 2), (9, 1)]
    with pytest.raises(preheat.InvalidRequest, match="one for each picture"):
        pipeline("seven", generator=several, num_images_per_prompt=3)
    with pytest.raises(preheat.InvalidRequest, match="not both"):
        pipeline("seven", generator=Generator(1), seed=1)


def test_latents_come_out_and_are_refused_on_the_way_in(pipeline):
    made = pipeline("seven", num_inference_steps=2, seed=1, output_type="latent")
    latents = numpy.asarray(made.images)
    assert latents.ndim == 4 and latents.shape[0] == 1 and numpy.isfinite(latents).all()
    with pytest.raises(preheat.InvalidRequest, match="leave latents out"):
        pipeline("seven", latents=latents)


def test_a_callback_follows_the_steps_and_can_end_them(pipeline):
    steps = []
    pipeline(
        "seven", num_inference_steps=3, seed=1, scheduler="euler",
        callback_on_step_end=lambda pipe, step, timestep, kwargs: steps.append(step),
    )  # fmt: skip
    assert steps == [0, 1, 2]

    def stop(pipe, step, timestep, kwargs):
        pipe._interrupt = True

    with pytest.raises(preheat.Interrupted):
        pipeline("seven", num_inference_steps=500, seed=1, callback_on_step_end=stop)
    assert pipeline("seven", num_inference_steps=1, seed=1).seeds == [1]


def test_eta_timesteps_and_sigmas_are_those_of_the_call(pipeline):
    def made(**words):
        return numpy.asarray(pipeline("seven", seed=1, **words).images[0])

    three = made(scheduler="ddim", num_inference_steps=3)
    assert (made(scheduler="ddim", num_inference_steps=3, eta=0.0) == three).all()
    assert (made(scheduler="ddim", num_inference_steps=3, eta=1.0) != three).any()
    steps = made(scheduler="euler", timesteps=numpy.array([999, 500, 20]))
    assert (made(scheduler="euler", timesteps=[999, 500, 20]) == steps).all()
    assert (made(scheduler="euler", sigmas=(14.6, 1.5, 0.0)) != steps).any()
    with pytest.raises(preheat.ModelError, match="only ddpm, dpm"):
        made(scheduler="unipc", timesteps=[999, 0])


def test_a_tuple_is_returned_where_it_is_asked_for(pipeline):
    images, unsafe = pipeline("seven", num_inference_steps=1, seed=1, return_dict=False)
    assert len(images) == 1 and unsafe is None


def test_warm_models_are_found_warm(pipeline):
    report = pipeline.warmup(num_images_per_prompt=1)
    assert {stage["stage"] for stage in report["stages"]} >= {"denoiser"}
    assert pipeline.lookup()["verdict"] == "hit"
    cold = preheat.DiffusionPipeline(
        DEMO_MODEL, device="xla-cpu", use_cache=False, require_warm=True
    )
    with pytest.raises(preheat.NotWarm):
        cold("seven", num_inference_steps=1)


def lora(folder):
    """A LoRA of rank 1 for one layer of the demo model, as PEFT names it."""
    (weights,) = (DEMO_MODEL / "unet").glob("*.safetensors")
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    name = next(name for name in sorted(header) if name.endswith("attn1.to_q.weight"))
    rows, columns = header[name]["shape"][:2]
    layer = name.removesuffix(".weight")
    up, down = numpy.ones(rows, "float32").tobytes(), numpy.ones(columns, "float32").tobytes()
    end = len(up) + len(down)
    tensors = {
        f"unet.{layer}.lora_B.weight": ([rows, 1], [0, len(up)]),
        f"unet.{layer}.lora_A.weight": ([1, columns], [len(up), end]),
    }
    header = json.dumps(
        {
            name: {"dtype": "F32", "shape": shape, "data_offsets": offsets}
            for name, (shape, offsets) in tensors.items()
        }
    ).encode()
    path = folder / "lora.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + up + down)
    return path


def test_prompts_are_read_with_weights_and_in_chunks_if_they_are_told_to(pipeline):
    def latents(prompt, **arguments):
        made = pipeline(
            prompt, num_inference_steps=2, seed=7, output_type="latent", guidance_scale=1.0,
            **arguments,
        )  # fmt: skip
        return numpy.asarray(made.images), made.reports[0]

    plain, report = latents("(seven:1.3)")
    assert report["plan"]["prompt_chunks"] == 1
    assert "prompt_syntax" not in report["pictures"][0]["settings"]
    weighted, report = latents("(seven:1.3)", prompt_syntax="comfy")
    assert report["pictures"][0]["settings"]["prompt_syntax"] == "comfy"
    assert not numpy.array_equal(plain, weighted)
    assert pipeline.lookup(guidance_scale=1.0, prompt_chunks=2)["verdict"] != "hit"
    pipeline.warmup(guidance_scale=1.0, prompt_chunks=2)
    assert pipeline.lookup(guidance_scale=1.0, prompt_chunks=2)["verdict"] == "hit"
    _, report = latents("seven BREAK eight", prompt_syntax="a1111")
    assert report["plan"]["prompt_chunks"] == 2
    assert all(stage["source"] != "compiled" for stage in report["stages"])


def test_prompts_that_cannot_be_read_are_refused(pipeline):
    with pytest.raises(preheat.InvalidRequest, match="would change the prompt between steps"):
        pipeline("[cat:dog:0.5]", prompt_syntax="a1111")
    with pytest.raises(preheat.InvalidRequest, match="prompt_2 is .* one text encoder"):
        pipeline("seven", prompt_2="eight")
    with pytest.raises(preheat.InvalidRequest, match="as many second prompts as prompts: 1 and 2"):
        pipeline(["seven", "eight"], prompt_2=["nine"])
    with pytest.raises(preheat.InvalidRequest, match="unknown variant `compel`"):
        pipeline("seven", prompt_syntax="compel")


def test_a_call_begins_with_a_picture_and_keeps_a_part_of_it(pipeline, tmp_path):
    from PIL import Image as image

    assert pipeline.lookup(guidance_scale=1, image_to_image=True)["verdict"] != "hit"
    pipeline.warmup(guidance_scale=1, image_to_image=True)
    assert pipeline.lookup(guidance_scale=1, image_to_image=True)["verdict"] == "hit"
    photo = image.linear_gradient("L").resize((64, 64)).convert("RGB")
    mask = image.new("L", (64, 64))
    mask.paste(255, (32, 0, 64, 64))
    photo.save(tmp_path / "photo.png")
    steps = {"num_inference_steps": 4, "guidance_scale": 1, "seed": 7}

    def made(**arguments):
        output = pipeline("seven", **steps, **arguments)
        assert all(stage["source"] != "compiled" for stage in output.reports[0]["stages"])
        return output

    begun = made(image=photo, strength=0.5)
    assert begun.reports[0]["plan"]["from_picture"] == {"strength": 0.5, "first_step": 2}
    again = made(image=tmp_path / "photo.png", strength=0.5)
    assert begun.images[0].tobytes() == again.images[0].tobytes()
    kept = made(image=photo, mask_image=mask, strength=0.5)
    assert kept.images[0].tobytes() != begun.images[0].tobytes()
    with pytest.raises(preheat.InvalidRequest, match="give the image, too"):
        pipeline("seven", mask_image=tmp_path / "photo.png")
    with pytest.raises(preheat.InvalidRequest, match="cannot be read"):
        pipeline("seven", image=tmp_path / "none.png")
    with pytest.raises(preheat.InvalidRequest, match="as a PIL image, or as the path"):
        pipeline("seven", image=3)


def test_loras_change_one_call_and_compile_nothing(pipeline, tmp_path):
    path = lora(tmp_path)

    def latents(**arguments):
        made = pipeline("seven", num_inference_steps=2, seed=7, output_type="latent", **arguments)
        assert all(stage["source"] != "compiled" for stage in made.reports[0]["stages"])
        return numpy.asarray(made.images), made.reports[0]["pictures"][0]["settings"]

    pipeline("seven", num_inference_steps=2, seed=7)
    base, settings = latents()
    assert "loras" not in settings
    changed, settings = latents(loras=[(path, 0.5)])
    assert settings["loras"] == [{"path": str(path), "weight": 0.5}]
    assert not numpy.array_equal(base, changed)
    assert not numpy.array_equal(changed, latents(loras=path)[0])
    assert numpy.array_equal(base, latents()[0])
    with pytest.raises(preheat.InvalidRequest, match="a pair of a path and a weight"):
        latents(loras=[(path, 0.5, 1)])
    with pytest.raises(preheat.InvalidRequest, match="cannot be used"):
        latents(loras=[tmp_path / "missing.safetensors"])


def test_wrong_arguments_are_refused_in_words(pipeline, tmp_path):
    with pytest.raises(preheat.InvalidRequest, match="steps is 0"):
        pipeline("seven", num_inference_steps=0)
    with pytest.raises(preheat.InvalidRequest, match="output_type"):
        pipeline("seven", output_type="pt")
    with pytest.raises(preheat.InvalidRequest, match="as many negative prompts"):
        pipeline(["a", "b"], negative_prompt=["c"])
    with pytest.raises(preheat.InvalidRequest, match="finite"):
        pipeline("seven", guidance_scale=float("nan"))
    with pytest.raises(TypeError):
        pipeline("seven", ip_adapter_image="face.png")
    with pytest.raises(preheat.ModelError):
        preheat.DiffusionPipeline(tmp_path, device="xla-cpu", use_cache=False)
    with pytest.raises(TypeError, match="made already"):
        preheat.DiffusionPipeline(DEMO_MODEL, runtime=pipeline.runtime, device="tpu")
    with pytest.raises(TypeError, match="no setting"):
        preheat.DiffusionPipeline(DEMO_MODEL, device="xla-cpu", use_cach=False)


def test_a_model_is_moved_to_the_device_that_it_is_on(pipeline):
    assert pipeline.to("cpu") is pipeline and pipeline.model_id == "demo-model"


def test_a_model_is_moved_to_another_device_with_the_settings_of_its_runtime(tmp_path, pipeline):
    settings = {"device": "xla-cpu", "cache_dir": tmp_path, "strict_device": True}
    moved = preheat.DiffusionPipeline(DEMO_MODEL, **settings)
    # There is neither card nor TPU where this is tested, so the move fails with words of the device.
    with pytest.raises(preheat.DeviceError, match="xla-cuda"):
        moved.to("xla-cuda")
    assert moved.runtime.device["selected"] == "xla-cpu"
    own = preheat.DiffusionPipeline(DEMO_MODEL, runtime=pipeline.runtime)
    with pytest.raises(TypeError, match="make a Runtime for xla-cuda"):
        own.to("xla-cuda")


def test_names_of_the_hub_are_downloaded_with_only_what_is_needed(monkeypatch):
    import sys
    import types

    asked = {}

    def snapshot_download(name, **options):
        asked.update(options, name=name)
        return str(DEMO_MODEL)

    hub = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    opened = preheat.DiffusionPipeline.from_pretrained(
        "someone/some-model", revision="main", local_files_only=True, torch_dtype="float32",
        device="xla-cpu", use_cache=False,
    )  # fmt: skip
    assert opened.model_id and asked["name"] == "someone/some-model" and asked["local_files_only"]
    assert "unet/*.safetensors" in asked["allow_patterns"]
    assert not any(pattern.endswith((".bin", ".ckpt")) for pattern in asked["allow_patterns"])
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(preheat.ModelError, match="pip install huggingface_hub"):
        preheat.DiffusionPipeline.from_pretrained("someone/some-model")


def test_a_single_file_is_recognised_by_its_header(tmp_path):
    def written(names):
        entries = {name: {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for name in names}
        header = json.dumps(entries).encode()
        path = tmp_path / "model.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        return path

    def refused(names):
        with pytest.raises(preheat.ModelError) as error:
            preheat.DiffusionPipeline.from_single_file(written(names), device="xla-cpu")
        return str(error.value)

    assert "is a LoRA" in refused(["lora_unet_mid_block.lora_up.weight"])
    assert "is a model of Flux" in refused(["double_blocks.0.img_attn.qkv.weight"])
