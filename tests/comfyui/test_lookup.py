"""Does the server know before a run what the run would compile?"""

import time

import pytest
import workflows

pytestmark = pytest.mark.small


def looked_up(server, prompt):
    """The verdict on a workflow, and the report of its only sampler."""
    status, answer = server.post("/preheat/lookup", {"prompt": prompt})
    assert status == 200, answer
    (sampler,) = answer["samplers"]
    assert answer["verdict"] == sampler["verdict"]
    return sampler


def wait_for(server, prompt_id):
    until = time.monotonic() + 300
    while prompt_id not in (history := server.get(f"/history/{prompt_id}")):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert history[prompt_id]["status"]["status_str"] == "success", history


def test_a_cold_workflow_is_warmed_by_the_api_and_then_compiles_nothing(server):
    prompt = workflows.sampling("sd1", workflows.name(), on_preheat=True, width=144, batch=1)
    before = looked_up(server, prompt)
    assert before["verdict"] == "miss", before
    assert before["network"] == "SD15" and before["dtype"] == "float32"
    assert [(one["batch"], one["tokens"]) for one in before["stages"]] == [(2, 77), (1, 77)]
    assert "one chunk of tokens is assumed" in before["notes"][0]
    status, queued = server.post("/preheat/warmup", {"prompt": prompt})
    assert status == 200, queued
    wait_for(server, queued["prompt_id"])
    after = looked_up(server, prompt)
    assert after["verdict"] == "hit", after
    count = server.compiles()
    server.run(prompt)
    assert server.compiles() == count
    status, answer = server.post("/preheat/warmup", {"prompt": prompt})
    assert status == 400 and "nothing is cold" in answer["error"]


def test_half_of_a_batch_serves_the_whole(server):
    prompt = workflows.sampling("sd1", workflows.name(), on_preheat=True, width=144, batch=2)
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True, width=144, warm=True))
    found = looked_up(server, prompt)
    # Batch 2 is there from the run of one guided picture; batch 4 is two halves of it.
    assert found["verdict"] == "hit", found
    assert [one["in_halves"] for one in found["stages"]] == [True, False]


def test_a_model_without_a_node_of_preheat_is_torchs(server):
    found = looked_up(server, workflows.sampling("sd1", "x", on_preheat=False))
    assert found["verdict"] == "torch" and "TPU Manual Warmup" in found["notes"][-1]


def test_what_cannot_be_told_is_unknown(server):
    prompt = workflows.sampling("sd1", "x", on_preheat=True)
    prompt["load"]["inputs"]["ckpt_name"] = "none.safetensors"
    found = looked_up(server, prompt)
    assert found["verdict"] == "unknown" and "none.safetensors" in found["notes"][-1]
    status, answer = server.post("/preheat/lookup", {"prompt": {}})
    assert status == 400 and "give prompt" in answer["error"]


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_the_header_of_a_file_is_recognised_as_the_loaded_model_is(server, family):
    prompt = workflows.sampling(family, workflows.name(), on_preheat=True)
    server.run(prompt)
    found = looked_up(server, prompt)
    assert found["verdict"] in ("hit", "partial"), found
    names = {one["network"] for one in server.stats()["comfyui"]["networks"]}
    assert found["network"] in names


def test_prompts_are_counted_in_chunks(server):
    prompt = workflows.sampling("sd1", "x", on_preheat=True)
    for name, text in (("positive", "seven " * 100), ("negative", "blurred")):
        inputs = {"clip": ["load", 1], "text": text}
        prompt[name] = {"class_type": "CLIPTextEncode", "inputs": inputs}
    found = looked_up(server, prompt)
    calls = {(one["batch"], one["tokens"]) for one in found["stages"]}
    assert calls == {(2, 154), (1, 77), (1, 154)} and found["notes"] == []


def test_a_pipeline_is_looked_up_too(server):
    prompt = {
        "load": {
            "class_type": "PreheatLoadModel",
            "inputs": {"model_name": "demo-model", "device": "auto", "precision": "fp32"},
        },
        "make": {
            "class_type": "PreheatGenerate",
            "inputs": {
                "pipeline": ["load", 0], "prompt": "the digit seven", "negative_prompt": "",
                "width": 64, "height": 64, "batch_size": 1, "steps": 4, "cfg_scale": 4.0,
                "scheduler": "euler", "seed": 7,
            },
        },
        "picture": {"class_type": "PreviewImage", "inputs": {"images": ["make", 0]}},
    }  # fmt: skip
    if looked_up(server, prompt)["verdict"] == "miss":
        status, queued = server.post("/preheat/warmup", {"prompt": prompt})
        assert status == 200, queued
        wait_for(server, queued["prompt_id"])
    assert looked_up(server, prompt)["verdict"] == "hit"
    count = server.compiles()
    server.run(prompt)
    assert server.compiles() == count


def test_the_entries_have_their_sizes_and_what_they_saved(server):
    entries = server.get("/preheat/entries")
    assert entries and all(one["stored_bytes"] > 0 for one in entries)
    saved = [one["saved_seconds"] for one in entries]
    assert saved == sorted(saved, reverse=True)
