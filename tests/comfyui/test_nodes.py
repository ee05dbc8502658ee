"""Does each node do what the specification says, in a real server?"""

import json
import time

import pytest
import workflows
from server import Failed, Interrupted

NODES = [
    "TPUManualWarmup", "TPUCompilationCache", "TPUDeviceInfo", "TPUModelOptimization",
    "PreheatLoadModel", "PreheatGenerate",
]  # fmt: skip


def cache_node(action, confirm=False):
    return {
        "ask": {
            "class_type": "TPUCompilationCache",
            "inputs": {"action": action, "confirm_clear": confirm},
        }
    }


def shown(server, prompt, node="ask"):
    return server.run(prompt)[node]["text"][0]


def warmup_prompt(**inputs):
    settings = {
        "model": ["load", 0], "width": 64, "height": 64, "batch_size": 1, "cfg_scale": 4.0,
        "device": "xla-cpu", "precision": "fp32", "force_recompile": False, "token_chunks": 1,
    }  # fmt: skip
    return {
        "load": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "sd1.safetensors"},
        },
        "ask": {"class_type": "TPUManualWarmup", "inputs": {**settings, **inputs}},
    }


@pytest.mark.small
def test_all_nodes_are_there_under_the_names_of_the_specification(server):
    info = server.get("/object_info")
    assert [name for name in NODES if name not in info] == []
    assert {info[name]["category"] for name in NODES} == {"advanced/tpu"}
    wanted = ["model", "width", "height", "batch_size", "cfg_scale", "device", "precision",
              "force_recompile"]  # fmt: skip
    given = info["TPUManualWarmup"]["input"]["required"]
    assert list(given)[: len(wanted)] == wanted
    pages = [server.request("GET", f"/extensions/preheat/docs/{name}.md")[0] for name in NODES]
    assert pages == [200] * len(NODES)


@pytest.mark.small
def test_warmup_says_what_was_compiled_and_what_was_there(server):
    compiles = server.compiles()
    text = shown(server, warmup_prompt(height=80))
    assert text.count("compiled") == 2 and "batch 2" in text and "batch 1" in text, text
    assert server.compiles() == compiles + 2
    again = shown(server, warmup_prompt(height=80, cfg_scale=4.5))
    assert again.count("already there") == 3, again
    # Sampling at that size compiles nothing.
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True, height=80))
    assert server.compiles() == compiles + 2


def test_force_recompile_compiles_again(server):
    compiles = server.compiles()
    text = shown(server, warmup_prompt(cfg_scale=1.0, force_recompile=True))
    assert "compiled" in text
    assert server.compiles() == compiles + 1


def test_a_device_of_torch_leaves_the_model_to_torch(server):
    text = shown(server, warmup_prompt(device="cpu"))
    assert "runs on torch's cpu" in text
    with pytest.raises(Failed, match="torch finds no CUDA device"):
        server.run(warmup_prompt(device="cuda"))


def test_the_cache_node(server):
    assert "compiles:" in shown(server, cache_node("stats"))
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True))
    assert "comfyui-sd15" in shown(server, cache_node("list"))
    assert "findings" in shown(server, cache_node("verify"))
    assert shown(server, cache_node("info"))
    entries = server.stats()["cache"]["entries"]
    assert entries > 0
    assert "confirm_clear" in shown(server, cache_node("clear"))
    assert server.stats()["cache"]["entries"] == entries


def test_device_info(server):
    text = shown(server, {"ask": {"class_type": "TPUDeviceInfo", "inputs": {}}})
    assert "xla-cpu: available" in text and "tpu: not available" in text, text


PIPELINE = {
    "load": {
        "class_type": "PreheatLoadModel",
        "inputs": {"model_name": "demo-model", "device": "xla-cpu", "precision": "fp32"},
    }
}
GENERATE = {
    "prompt": "the digit seven", "negative_prompt": "", "width": 64, "height": 64,
    "batch_size": 2, "steps": 4, "cfg_scale": 4.0, "scheduler": "euler", "seed": 7,
}  # fmt: skip


@pytest.mark.small
def test_load_model_and_generate(server):
    progress = []
    prompt = {
        **PIPELINE,
        "generate": {
            "class_type": "PreheatGenerate", "inputs": {"pipeline": ["load", 0], **GENERATE},
        },
        "picture": {"class_type": "PreviewImage", "inputs": {"images": ["generate", 0]}},
        "text": {"class_type": "PreviewAny", "inputs": {"source": ["generate", 2]}},
        "save": {
            "class_type": "SaveLatent",
            "inputs": {"samples": ["generate", 1], "filename_prefix": "pipeline"},
        },
    }  # fmt: skip
    output = server.run(
        prompt, lambda message: message["type"] == "progress" and progress.append(message["data"])
    )
    assert len(output["picture"]["images"]) == 2
    reports = json.loads(output["text"]["text"][0])
    assert {stage["stage"] for stage in reports[0]["stages"]} >= {"denoiser", "vae_decoder"}
    assert any(one["node"] == "generate" and one["max"] == 4 for one in progress)


def test_a_pipeline_is_warmed_by_the_same_node(server):
    prompt = warmup_prompt(model=["optimise", 0], batch_size=2)
    prompt["load"] = PIPELINE["load"]
    prompt["optimise"] = {
        "class_type": "TPUModelOptimization",
        "inputs": {
            "model": ["load", 0], "autocast_dtype": "fp32", "compilation_cache": True,
            "shape_padding": True, "shape_padding_multiple": 64, "compile_effort": "full",
            "offload": "auto",
        },
    }  # fmt: skip
    text = shown(server, prompt)
    assert "denoiser" in text and "all: warm" in text, text


def test_the_bar_moves_while_a_compile_runs_and_while_it_samples(server):
    seen = []
    server.run(
        workflows.sampling("sdxl", workflows.name(), on_preheat=True, height=96, steps=4),
        lambda message: seen.append(message),
    )
    bars = [
        message["data"]
        for message in seen
        if message["type"] == "progress" and message["data"]["node"] == "sample"
    ]
    assert len([bar for bar in bars if bar["max"] == 1000]) > 3, "the compile"
    assert [bar["value"] for bar in bars if bar["max"] == 4][-1] == 4, "the steps"
    assert any(message["type"] == "preview" for message in seen)


def interrupted_after(server, prompt, node, most):
    """Interrupts a prompt when `node` reports progress, and returns the seconds until its end."""
    pressed = []

    def listen(message):
        data = message.get("data") or {}
        if not pressed and message["type"] == "progress" and data.get("node") == node:
            status, _ = server.request("POST", "/interrupt", {})
            assert status == 200
            pressed.append(time.monotonic())

    with pytest.raises(Interrupted):
        server.run(prompt, listen)
    seconds = time.monotonic() - pressed[0]
    print(f"interrupted after {seconds:.2f} s")
    assert seconds < most
    return seconds


@pytest.mark.small
def test_interrupt_ends_a_compile_and_the_next_run_works(server):
    compiling = workflows.sampling("sdxl", workflows.name(), on_preheat=True, width=136)
    # The plugin goes on compiling on every core, so the server answers late if the machine is busy.
    interrupted_after(server, compiling, "sample", most=5.0)
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True))


def test_interrupt_ends_sampling_and_the_next_run_works(server):
    server.run(workflows.sampling("sdxl", workflows.name(), on_preheat=True, width=64))
    steps = workflows.sampling("sdxl", workflows.name(), on_preheat=True, width=64, steps=500)
    interrupted_after(server, steps, "sample", most=1.0)
    server.run(workflows.sampling("sdxl", workflows.name(), on_preheat=True, width=64))
