"""Does the API do what the specification says, and refuse what it should?"""

import json
import time

import pytest
import workflows
from server import Failed


@pytest.mark.small
def test_the_block_warms_before_it_samples(server):
    executed = []
    prompt = workflows.sampling("sd1", workflows.name(), on_preheat=False, width=112)
    block = {"enabled": True, "target_resolution": [112, 64], "batch_size": 1}
    before = server.compiles()
    output = server.run(
        prompt,
        lambda message: message["type"] == "executing" and executed.append(message["data"]["node"]),
        tpu_warmup=block,
    )
    assert server.compiles() == before + 2
    (node,) = [name for name in output if name.startswith("preheat_")]
    assert "compiled" in output[node]["text"][0]
    assert executed.index(node) < executed.index("sample")
    assert server.stats()["comfyui"]["calls_served"] > 0


def test_a_body_with_workflow_in_the_place_of_prompt(server):
    prompt = workflows.sampling("sd1", workflows.name(), on_preheat=False)
    output = server.run(None, workflow=prompt, tpu_warmup={"enabled": False})
    assert not any(name.startswith("preheat_") for name in output)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"enabled": True, "target_resolution": "big"}, "give target_resolution as"),
        ({"enabeld": True}, "leave enabeld out"),
        ([1], "give an object"),
    ],
)
def test_a_bad_block_is_refused_in_words(server, block, words):
    prompt = workflows.sampling("sd1", workflows.name(), on_preheat=False)
    with pytest.raises(Failed, match=words):
        server.run(prompt, tpu_warmup=block)


def test_stats_and_devices_and_metrics(server):
    server.run(workflows.sampling("sd1", workflows.name(), on_preheat=True))
    stats = server.stats()
    assert stats["cache"]["cached_signatures"] > 0
    networks = {one["network"] for one in stats["comfyui"]["networks"]}
    assert "SD15" in networks
    devices = {device["name"]: device["available"] for device in server.get("/preheat/devices")}
    assert devices["xla-cpu"] is True
    status, text = server.request("GET", "/preheat/metrics")
    assert status == 200 and "preheat_cache_compiles " in text


def test_warmup_is_queued_and_done(server):
    before = server.compiles()
    body = {"ckpt_name": "sd2.safetensors", "target_resolution": "96x64", "cfg_scale": 1}
    status, text = server.request("POST", "/preheat/warmup", body)
    assert status == 200, text
    prompt_id = json.loads(text)["prompt_id"]
    until = time.monotonic() + 200
    while prompt_id not in (history := server.get(f"/history/{prompt_id}")):
        assert time.monotonic() < until
        time.sleep(0.3)
    assert history[prompt_id]["status"]["status_str"] == "success"
    assert server.compiles() == before + 1


@pytest.mark.small
def test_what_is_refused(server):
    for body, status, words in (
        ({}, 400, "give ckpt_name"),
        ({"ckpt_name": "none.safetensors"}, 400, "none.safetensors"),
    ):
        answer = server.request("POST", "/preheat/warmup", body)
        assert answer[0] == status and words in answer[1], answer
    status, text = server.request("POST", "/preheat/clear", {})
    assert status == 400 and "confirm" in text
    status, text = server.request(
        "POST", "/preheat/clear", {"confirm": True}, **{"Content-Type": "text/plain"}
    )
    assert status == 400 and "application/json" in text


def test_the_imports_of_the_specification(server):
    output = server.run({"ask": {"class_type": "TestSpecification", "inputs": {}}})
    answer = json.loads(output["ask"]["text"][0])
    assert answer["same"] and answer["stats"]["cached_signatures"] > 0
