"""What is read from a workflow before it runs? These tests need no server."""

import pack
import pytest
import workflows

graph = pack.module("workflow_graph")
pytestmark = pytest.mark.small


def samplings(prompt):
    return graph.Workflow(prompt).samplings()


def one(prompt):
    (sampling,) = samplings(prompt)
    return sampling


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def with_prompts(positive, negative):
    prompt = workflows.sampling("sd1", "x", on_preheat=True)
    prompt["positive"] = node("CLIPTextEncode", clip=["load", 1], text=positive)
    prompt["negative"] = node("CLIPTextEncode", clip=["load", 1], text=negative)
    return prompt


def test_a_sampler_its_size_and_the_way_to_its_model():
    prompt = with_prompts("a cat", "blurred")
    prompt["sample"]["_meta"] = {"title": "My sampler"}
    found = one(prompt)
    assert (found.node, found.kind, found.title) == ("sample", "KSampler", "My sampler")
    assert found.source == ("optimise", 0) and found.path == ["optimise", "load"]
    assert found.size_px == (64, 64) and found.batch == 1
    assert found.cfg_scale == 4.0 and found.is_guided
    assert found.prompts == ("a cat", "blurred") and found.notes == []


def test_sizes_are_followed_through_the_nodes_that_change_them():
    prompt = with_prompts("a", "b")
    prompt["empty"]["inputs"].update(width=["w", 0], height=100, batch_size=2)
    prompt["w"] = node("PrimitiveInt", value=128)
    prompt["many"] = node("RepeatLatentBatch", samples=["empty", 0], amount=3)
    prompt["by"] = node("LatentUpscaleBy", samples=["many", 0], scale_by=1.5, upscale_method="x")
    prompt["sample"]["inputs"]["latent_image"] = ["by", 0]
    # A second sampler takes the latents of the first one.
    again = {**prompt["sample"]["inputs"], "latent_image": ["sample", 0], "cfg": 1.0}
    prompt["again"] = node("KSampler", **again)
    prompt["to"] = node("LatentUpscale", samples=["again", 0], width=512, height=260, crop="x")
    prompt["last"] = node("KSampler", **{**again, "latent_image": ["to", 0]})
    found = {sampling.node: sampling for sampling in samplings(prompt)}
    # 100 pixels are twelve latents and a half, and 12 times 1.5 are 18.
    assert found["sample"].size_px == (192, 144) and found["sample"].batch == 6
    assert found["again"].size_px == (192, 144) and not found["again"].is_guided
    assert found["last"].size_px == (512, 256)


def test_what_only_a_run_can_tell_is_said():
    prompt = workflows.sampling("sd1", "x", on_preheat=True, patches=[("FreeU_V2", {"b1": 1.3})])
    prompt["picture"] = node("LoadImage", image="a.png")
    prompt["encode"] = node("VAEEncode", pixels=["picture", 0], vae=["load", 2])
    prompt["sample"]["inputs"].update(latent_image=["encode", 0], cfg=["encode", 0])
    found = one(prompt)
    assert found.size_px is None and found.batch is None and found.prompts == (None, None)
    said = "\n".join(found.notes)
    for words in (
        "the size comes from VAEEncode", "cfg comes from VAEEncode", "guidance is assumed",
        "FreeU_V2 may change the network", "a prompt comes from TestConditioning",
    ):  # fmt: skip
        assert words in said, said


def test_samplers_with_a_guider_of_their_own():
    prompt = with_prompts("a", "b")
    del prompt["sample"], prompt["save"]
    both = {"positive": ["positive", 0], "negative": ["negative", 0]}
    prompt["guide"] = node("CFGGuider", model=["load", 0], cfg=5.0, **both)
    prompt["alone"] = node("BasicGuider", model=["load", 0], conditioning=["positive", 0])
    prompt["zero"] = node("ConditioningZeroOut", conditioning=["positive", 0])
    for name, guider in (("one", "guide"), ("two", "alone")):
        prompt[name] = node(
            "SamplerCustomAdvanced", guider=[guider, 0], latent_image=["empty", 0], noise=["n", 0]
        )
    found = {sampling.node: sampling for sampling in samplings(prompt)}
    assert found["one"].cfg_scale == 5.0 and found["one"].prompts == ("a", "b")
    assert found["two"].cfg_scale == 1.0 and found["two"].prompts == ("a", "")
    assert graph.Workflow(prompt).text("zero") == "a"


def test_a_pipeline():
    prompt = {
        "load": node("PreheatLoadModel", model_name="m", device="auto", precision="auto"),
        "make": node(
            "PreheatGenerate", pipeline=["load", 0], width=64, height=72, batch_size=2,
            cfg_scale=4.0, scheduler="euler",
        ),
    }  # fmt: skip
    found = one(prompt)
    assert found.size_px == (64, 72) and found.batch == 2 and found.path == ["load"]


@pytest.mark.parametrize(
    "prompt",
    [
        {},
        {"a": {}},
        {"a": {"class_type": "KSampler", "inputs": [1]}},
        {"a": node("KSampler", model=["a", 0], latent_image=["a", 0])},
        {"a": node("KSampler", model=["b", 0], latent_image=["b", 0]), "b": node("X", model=3)},
        {"a": node("LatentUpscaleBy", samples=["b", 0]), "b": node("Y", latent_image=["a", 0]),
         "c": node("KSampler", model=["b", 0], latent_image=["a", 0], cfg="high")},
    ],
)  # fmt: skip
def test_foreign_workflows_are_read_without_an_error(prompt):
    for sampling in samplings(prompt):
        assert sampling.size_px is None and sampling.notes


def test_all_that_a_node_needs():
    prompt = workflows.sampling("sd1", "x", on_preheat=True, loras=[("l.safetensors", 1.0)])
    assert graph.Workflow(prompt).above("optimise") == {"optimise", "lora0", "load"}
