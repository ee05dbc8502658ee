"""How does a test run ComfyUI? It starts the real server, and sends requests as a page does."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import aiohttp
from safetensors.numpy import load_file

START_SECONDS = 600
RUN_SECONDS = 600


class Failed(Exception):
    """ComfyUI did not start, or it refused a prompt, or a prompt failed while it ran."""


class Interrupted(Exception):
    """A prompt that was interrupted."""


class Server:
    """One process of ComfyUI."""

    def __init__(self, comfyui, base, log, command=(), flags=(), **environment):
        """Starts it. `command` comes before Python's, and `flags` behind ComfyUI's own."""
        self.base, self.log = Path(base), Path(log)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        arguments = [
            "--cpu", "--force-fp32", "--listen", "127.0.0.1", "--port", str(self.port),
            "--disable-api-nodes", "--disable-auto-launch", "--preview-method", "latent2rgb",
            "--base-directory", str(base), "--database-url", "sqlite:///:memory:",
        ]  # fmt: skip
        self._output = self.log.open("w")
        self.process = subprocess.Popen(
            [*map(str, command), sys.executable, Path(comfyui) / "main.py", *arguments, *flags],
            stdout=self._output, stderr=subprocess.STDOUT,
            # On a busy machine, threads of torch that wait by spinning would use most of the CPU.
            env={
                **os.environ, "PREHEAT_DEVICE": "xla-cpu", "OMP_WAIT_POLICY": "passive",
                **environment,
            },
        )  # fmt: skip
        self._wait()

    def _wait(self):
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                self.get("/system_stats")
                return
            except OSError:
                time.sleep(0.5)
        self.stop()
        raise Failed(f"ComfyUI did not start:\n{self.text()[-4000:]}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()

    def text(self):
        """What the server has written so far."""
        return self.log.read_text(errors="replace")

    def request(self, method, path, body=None, **headers):
        """Sends a request, and returns the status and the text of the response."""
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(asked, timeout=RUN_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get(self, path):
        status, text = self.request("GET", path)
        assert status == 200, (path, status, text)
        return json.loads(text)

    def post(self, path, body):
        """Sends JSON, and returns the status and the JSON of the response."""
        status, text = self.request("POST", path, body)
        return status, json.loads(text)

    def stats(self):
        return self.get("/preheat/stats")

    def compiles(self):
        """How many compiles there were, of calls that waited for one and of warmups."""
        cache = self.stats()["cache"]
        return cache["compiles"] + cache["warming"]["compiles"]

    def run(self, prompt, listen=None, **body):
        """Queues a prompt over HTTP, and follows it over the websocket until it ends.

        Returns what its nodes show. `listen` is called with each message.
        """
        return asyncio.run(asyncio.wait_for(self._run(prompt, listen, body), RUN_SECONDS))

    async def _run(self, prompt, listen, body):
        client = uuid.uuid4().hex
        url = f"http://127.0.0.1:{self.port}"
        shown = {}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/ws?clientId={client}", max_msg_size=0) as messages,
        ):
            sent = {"prompt": prompt, "client_id": client, **body}
            if prompt is None:
                del sent["prompt"]
            async with session.post(f"{url}/prompt", json=sent) as answer:
                text = await answer.text()
                if answer.status != 200:
                    raise Failed(text)
                prompt_id = json.loads(text)["prompt_id"]
            async for message in messages:
                if message.type != aiohttp.WSMsgType.TEXT:
                    if listen:
                        listen({"type": "preview", "data": {"bytes": len(message.data)}})
                    continue
                parsed = json.loads(message.data)
                kind, data = parsed["type"], parsed.get("data") or {}
                if listen:
                    listen(parsed)
                if data.get("prompt_id") != prompt_id:
                    continue
                if kind == "executed":
                    shown[data["node"]] = data["output"]
                elif kind == "execution_error":
                    raise Failed(f"{data['node_type']}: {data['exception_message']}")
                elif kind == "execution_interrupted":
                    raise Interrupted(data)
                elif kind == "execution_success":
                    return shown
        raise Failed("the server closed the connection")

    def latents(self, prompt, name, **body):
        """Runs a prompt, and returns the latents that it saved under a name."""
        for old in (self.base / "output").glob(f"{name}_*.latent"):
            old.unlink()
        self.run(prompt, **body)
        (path,) = (self.base / "output").glob(f"{name}_*.latent")
        return load_file(path)["latent_tensor"]
