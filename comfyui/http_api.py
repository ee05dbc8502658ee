"""Which HTTP requests does the server answer? Statistics, lookups, warmups, devices, clear.

Only requests from this machine are answered, unless `PREHEAT_COMFYUI_REMOTE=1` is set, because a
cleared cache costs hours of compiling. The work is done in threads, not in the server's event loop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import execution
import preheat
from aiohttp import web
from server import PromptServer

from .cache_entries import rows
from .fallbacks import calls
from .lookup import lookup, warmup_prompt
from .runtimes import runtime
from .served_model import all_served
from .warmup_block import BadBlock, inputs_of, is_prompt

Handler = Callable[[web.Request], Awaitable[web.Response]]


def register() -> None:
    """Adds the routes to ComfyUI's server."""
    routes = PromptServer.instance.routes
    routes.get("/preheat/stats")(_local(_stats))
    routes.get("/preheat/entries")(_local(_entries))
    routes.get("/preheat/devices")(_local(_devices))
    routes.get("/preheat/metrics")(_local(_metrics))
    routes.post("/preheat/lookup")(_local(_lookup))
    routes.post("/preheat/warmup")(_local(_warmup))
    routes.post("/preheat/clear")(_local(_clear))


def is_local(address: str | None) -> bool:
    """Whether a request comes from this machine."""
    try:
        parsed = ipaddress.ip_address((address or "").split("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def _local(handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.Response:
        if os.environ.get("PREHEAT_COMFYUI_REMOTE") != "1" and not is_local(request.remote):
            return _error(403, "set PREHEAT_COMFYUI_REMOTE=1 to answer other machines")
        try:
            return await handler(request)
        except BadBlock as error:
            return _error(400, str(error))
        except preheat.PreheatError as error:
            return _error(500, str(error))

    return checked


def _error(status: int, words: str) -> web.Response:
    return web.json_response({"error": words}, status=status)


def report() -> dict[str, Any]:
    """The statistics of the cache, and of the networks in this process."""
    return {
        "cache": runtime().stats(),
        "comfyui": {**calls.report(), "networks": [one.report() for one in all_served()]},
    }


async def _stats(_: web.Request) -> web.Response:
    return web.json_response(await asyncio.to_thread(report))


async def _entries(_: web.Request) -> web.Response:
    return web.json_response(await asyncio.to_thread(lambda: rows(runtime().cache.list())))


async def _lookup(request: web.Request) -> web.Response:
    """Says which executables a workflow needs, and which of them are in the cache."""
    prompt = (await _body(request)).get("prompt")
    if not is_prompt(prompt):
        raise BadBlock("give prompt, a workflow in the format of ComfyUI's API")
    return web.json_response(await asyncio.to_thread(lookup, prompt))


async def _devices(_: web.Request) -> web.Response:
    return web.json_response(await asyncio.to_thread(preheat.devices))


async def _metrics(_: web.Request) -> web.Response:
    lines = as_metrics(await asyncio.to_thread(report))
    return web.Response(text="".join(f"{line}\n" for line in lines))


def as_metrics(whole: dict[str, Any]) -> list[str]:
    """The numbers of a report in the text format of Prometheus."""
    comfyui, cache = whole["comfyui"], whole["cache"]
    lines = []
    for name in ("entries", "stored_bytes", "hits", "misses", "compiles", "compile_seconds"):
        value = cache.get(name)
        for kind, number in value.items() if isinstance(value, dict) else [("", value)]:
            if isinstance(number, (int, float)):
                label = f'{{match="{kind}"}}' if kind else ""
                lines.append(f"preheat_cache_{name}{label} {number}")
    warmed = cache.get("warming", {}).get("compiles")
    if warmed is not None:
        lines.append(f"preheat_cache_warming_compiles {warmed}")
    lines.append(f"preheat_comfyui_calls_served {comfyui['calls_served']}")
    for reason, count in comfyui["reasons"].items():
        escaped = reason.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'preheat_comfyui_calls_on_torch{{reason="{escaped}"}} {count}')
    return lines


async def _body(request: web.Request) -> dict[str, Any]:
    # A web page of another origin can send a form without permission, but not JSON.
    if request.content_type != "application/json":
        raise BadBlock("send JSON, with the content type application/json")
    try:
        body = await request.json()
    except ValueError:
        raise BadBlock("send JSON: this cannot be read") from None
    if not isinstance(body, dict):
        raise BadBlock("send a JSON object")
    return body


async def _clear(request: web.Request) -> web.Response:
    if (await _body(request)).get("confirm") is not True:
        raise BadBlock('send {"confirm": true} to remove every compiled graph')
    return web.json_response(await asyncio.to_thread(lambda: runtime().cache.clear()))


async def _warmup(request: web.Request) -> web.Response:
    """Queues the warmup of a checkpoint or of a workflow. Returns the id of the queued prompt."""
    body = await _body(request)
    client = body.pop("client_id", None)
    if "prompt" in body:
        prompt = await asyncio.to_thread(_of_workflow, body)
    else:
        prompt = _of_checkpoint(body)
    prompt_id = str(uuid.uuid4())
    valid = await execution.validate_prompt(prompt_id, prompt, None)
    if not valid[0]:
        return web.json_response({"error": valid[1], "node_errors": valid[3]}, status=400)
    server = PromptServer.instance
    number = server.number
    server.number += 1
    # The page with this id gets the messages about the bar and the end.
    about = {"client_id": client} if isinstance(client, str) else {}
    server.prompt_queue.put((number, prompt_id, prompt, about, valid[2], {}))
    return web.json_response({"prompt_id": prompt_id, "number": number})


def _of_workflow(body: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(body) - {"prompt"})
    if unknown:
        raise BadBlock(f"leave {', '.join(unknown)} out: the workflow itself has the sizes")
    if not is_prompt(body["prompt"]):
        raise BadBlock("give prompt as a workflow in the format of ComfyUI's API")
    prompt = warmup_prompt(body["prompt"])
    if not prompt:
        raise BadBlock("nothing is cold, as far as it can be told: /preheat/lookup says more")
    return prompt


def _of_checkpoint(body: dict[str, Any]) -> dict[str, Any]:
    name = body.pop("ckpt_name", None)
    if not isinstance(name, str):
        raise BadBlock("give ckpt_name, the name of a checkpoint below models/checkpoints")
    inputs = inputs_of(body)
    if inputs is None:
        raise BadBlock("leave enabled out, or make it true")
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}},
        "2": {"class_type": "TPUManualWarmup", "inputs": {**inputs, "model": ["1", 0]}},
    }
