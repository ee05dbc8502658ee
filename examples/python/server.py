"""A server that is warm before it takes requests. It compiles later only if a request asks for it.

    pip install fastapi uvicorn pillow numpy
    MODEL=examples/demo-model uvicorn --app-dir examples/python server:app
    curl -o seven.png localhost:8000/pictures -H 'content-type: application/json' \
        -d '{"prompt": "the digit seven", "seed": 7}'

A request may have a `tpu_warmup` block, which warms another size first.
"""

import asyncio
import io
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel

import preheat


class Request(BaseModel):
    prompt: str
    negative_prompt: str | None = None
    steps: int = 20
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    tpu_warmup: dict | None = None


@asynccontextmanager
async def warm(app: FastAPI):
    """Before the first request: everything is compiled or loaded, and run once on zeros."""
    app.state.pipeline = await asyncio.to_thread(
        preheat.DiffusionPipeline.from_pretrained, os.environ["MODEL"]
    )
    app.state.warmed = await asyncio.to_thread(app.state.pipeline.warmup)
    yield
    app.state.pipeline.unload()


app = FastAPI(lifespan=warm)


@app.get("/healthz")
def healthz() -> dict:
    stages = app.state.warmed["stages"]
    return {"stages": {stage["stage"]: stage["source"] for stage in stages}}


@app.post("/pictures")
async def pictures(request: Request) -> Response:
    pipeline, size = app.state.pipeline, {"width": request.width, "height": request.height}
    if request.tpu_warmup is None:
        # Nothing is compiled while a client waits, unless the client asked for a warmup.
        found = await asyncio.to_thread(pipeline.lookup, **size)
        if found["verdict"] != "hit":
            raise HTTPException(409, "this size is not warm: send a tpu_warmup block")
    cancel = preheat.Cancel()
    work = asyncio.to_thread(
        pipeline, request.prompt, negative_prompt=request.negative_prompt, seed=request.seed,
        num_inference_steps=request.steps, tpu_warmup=request.tpu_warmup, progress=False,
        cancel=cancel, **size,
    )  # fmt: skip
    try:
        made = await work
    except asyncio.CancelledError:
        cancel.cancel()  # the client went away
        raise
    except preheat.InvalidRequest as wrong:
        raise HTTPException(422, str(wrong)) from wrong
    png = io.BytesIO()
    made.images[0].save(png, "PNG")
    return Response(png.getvalue(), media_type="image/png")
