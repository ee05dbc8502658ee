"""How much sooner is the first result there, if nothing is traced and lowered?

    python benches/python/cached_jit.py [--rounds 5] [--width 32]

Fresh processes, from `import` to the first result, of two programs: 50 small functions, and a
denoiser in the shape of a UNet. `jax.jit` with JAX's own cache warm, against `cached_jit` warm with
the default verification. Printed are medians, with the import of JAX and without it; CPU seconds
tell more on a machine that is busy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = r"""
import os, time
begun = time.perf_counter()
import jax
import jax.numpy as jnp
import numpy as np
imported = time.perf_counter()
import json, sys
kind, program, width = sys.argv[1], sys.argv[2], int(sys.argv[3])
if kind == "jax":
    jax.config.update("jax_compilation_cache_dir", os.environ["THEIRS"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jit = jax.jit
else:
    from preheat.jax import cached_jit as jit

def convolve(p, x, stride=1):
    out = jax.lax.conv_general_dilated(x, p["w"], (stride, stride), "SAME",
                                       dimension_numbers=("NCHW", "OIHW", "NCHW"))
    return out + p["b"][None, :, None, None]

def normalize(p, x, groups=8):
    n, c, h, w = x.shape
    y = x.reshape(n, groups, -1)
    y = (y - y.mean(-1, keepdims=True)) * jax.lax.rsqrt(y.var(-1, keepdims=True) + 1e-5)
    return y.reshape(n, c, h, w) * p["g"][None, :, None, None] + p["h"][None, :, None, None]

def residual(p, x, time):
    y = convolve(p["one"], jax.nn.silu(normalize(p["n1"], x)))
    y = y + (jax.nn.silu(time) @ p["t"])[:, :, None, None]
    y = convolve(p["two"], jax.nn.silu(normalize(p["n2"], y)))
    return y + (convolve(p["skip"], x) if "skip" in p else x)

def attend(p, x, context, heads=4):
    n, c, h, w = x.shape
    tokens = normalize(p["n"], x).reshape(n, c, h * w).transpose(0, 2, 1)
    for name, other in (("self", tokens), ("cross", context)):
        q, k, v = tokens @ p[name]["q"], other @ p[name]["k"], other @ p[name]["v"]
        q, k, v = (z.reshape(n, -1, heads, c // heads) for z in (q, k, v))
        weights = jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", q, k) * (c // heads) ** -0.5, -1)
        tokens = tokens + jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(n, -1, c) @ p[name]["o"]
        other = context
    tokens = tokens + jax.nn.gelu(tokens @ p["up"]) @ p["down"]
    return x + tokens.transpose(0, 2, 1).reshape(n, c, h, w)

def unet(p, x, time, context):
    half = p["time"]["one"].shape[0] // 2
    angles = time[:, None] * jnp.exp(-np.log(10000.0) * jnp.arange(half) / half)
    time = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1)
    time = jax.nn.silu(time @ p["time"]["one"]) @ p["time"]["two"]
    x = convolve(p["in"], x)
    kept = [x]
    for level in p["down"]:
        for block in level["blocks"]:
            x = attend(block["a"], residual(block["r"], x, time), context)
            kept.append(x)
        if "less" in level:
            x = convolve(level["less"], x, 2)
            kept.append(x)
    x = attend(p["mid"]["a"], residual(p["mid"]["r"], x, time), context)
    for level in p["up"]:
        for block in level["blocks"]:
            x = jnp.concatenate([x, kept.pop()], 1)
            x = attend(block["a"], residual(block["r"], x, time), context)
        if "more" in level:
            x = convolve(level["more"], jnp.repeat(jnp.repeat(x, 2, 2), 2, 3))
    return convolve(p["out"], jax.nn.silu(normalize(p["n"], x)))

def weights(width):
    rng = np.random.default_rng(0)
    def array(*shape):
        return (rng.standard_normal(shape) * 0.05).astype("float32")
    def conv(i, o, k=3):
        return {"w": array(o, i, k, k), "b": array(o)}
    def norm(c):
        return {"g": array(c) + 1, "h": array(c)}
    T, C = 4 * width, 64
    def res(i, o):
        made = {"n1": norm(i), "one": conv(i, o), "t": array(T, o), "n2": norm(o), "two": conv(o, o)}
        return {**made, "skip": conv(i, o, 1)} if i != o else made
    def att(c):
        made = {"n": norm(c), "up": array(c, 4 * c), "down": array(4 * c, c)}
        for name, d in (("self", c), ("cross", C)):
            made[name] = {"q": array(c, c), "k": array(d, c), "v": array(d, c), "o": array(c, c)}
        return made
    sizes = [width, 2 * width, 4 * width, 4 * width]
    p = {"in": conv(4, width), "time": {"one": array(width, T), "two": array(T, T)}, "down": [], "up": []}
    kept, c = [width], width
    for at, size in enumerate(sizes):
        level = {"blocks": []}
        for _ in range(2):
            level["blocks"].append({"r": res(c, size), "a": att(size)})
            c = size
            kept.append(c)
        if at < 3:
            level["less"] = conv(c, c)
            kept.append(c)
        p["down"].append(level)
    p["mid"] = {"r": res(c, c), "a": att(c)}
    for at, size in reversed(list(enumerate(sizes))):
        level = {"blocks": []}
        for _ in range(3):
            level["blocks"].append({"r": res(c + kept.pop(), size), "a": att(size)})
            c = size
        if at:
            level["more"] = conv(c, c)
        p["up"].append(level)
    return {**p, "n": norm(c), "out": conv(c, 4)}

def small(number):
    def f(x):
        for _ in range(number % 5 + 1):
            x = jnp.tanh(x * (number + 1.0)) + jnp.where(x > 0, x, 0.1 * x)
        return x.sum(-1) / (number + 1)
    return f

data = time.perf_counter()
if program == "unet":
    p = weights(width)
    inputs = (p, np.ones((1, 4, 32, 32), "float32"), np.ones(1, "float32"), np.ones((1, 77, 64), "float32"))
    works = [(jit(unet), inputs)]
else:
    works = [(jit(small(number)), (np.ones((8, 16), "float32"),)) for number in range(50)]
start, used = time.perf_counter(), time.process_time()
for function, given in works:
    jax.block_until_ready(function(*given))
end, cpu = time.perf_counter(), time.process_time() - used
sources = sorted({r.source for f, _ in works for r in f.reports}) if kind == "ours" else []
print(json.dumps({"import": imported - begun, "result": end - start, "cpu": cpu, "sources": sources}), flush=True)
"""


def run(kind, program, width, folder, *more):
    environment = {
        **os.environ, "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),
        "PREHEAT_CACHE_DIR": str(folder / "ours"), "THEIRS": str(folder / "theirs"),
    }  # fmt: skip
    child = folder / "child.py"
    child.write_text(CHILD, "utf-8")
    words = [sys.executable, str(child), kind, program, str(width), *more]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=32, help="channels of the UNet's first level")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for program in ("small", "unet"):
            folder = Path(name) / program
            folder.mkdir()
            run("jax", program, arguments.width, folder)
            for _ in range(2):
                run("ours", program, arguments.width, folder)
            times = {"jax": [], "ours": []}
            for _ in range(arguments.rounds):
                for kind in times:  # in turn, so that both see the same machine
                    one = run(kind, program, arguments.width, folder)
                    if kind == "ours" and one["sources"] != ["untraced"]:
                        sys.exit(f"not served: {one['sources']}")
                    times[kind].append((one["import"] + one["result"], one["result"], one["cpu"]))
            whole, alone, cpu = (
                {kind: statistics.median(one[at] for one in many) for kind, many in times.items()}
                for at in (0, 1, 2)
            )
            print(
                f"{program:6} with import: jit {whole['jax']:.2f} s, cached_jit {whole['ours']:.2f} s, "
                f"ratio {whole['ours'] / whole['jax']:.2f}; without: {alone['jax']:.2f} s, "
                f"{alone['ours']:.2f} s, ratio {alone['ours'] / alone['jax']:.2f}; "
                f"CPU seconds without: {cpu['jax']:.2f}, {cpu['ours']:.2f}, "
                f"ratio {cpu['ours'] / cpu['jax']:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
