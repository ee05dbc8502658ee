"""How fast does JAX with its persistent cache make a denoiser call ready?

The denoiser is a diffusers UNet2DConditionModel, and one call of it is compiled.

    jax_unet.py --config configs/unet_sd15.json --batch 2 --height 64 --width 64 [--dtype float32]
                [--cache-dir DIR | --no-cache] [--shapes FILE] [--stablehlo FILE] [--ahead TOPOLOGY]

Height and width are those of the latents. The script prints one JSON line with the seconds for the
import, for the parameters' shapes, for tracing and lowering, for compiling or loading, and in all
until the executable is ready. The line also says whether JAX's cache had the executable, and how
many parameters the network has (859.5 million for SD 1.5).

A pipeline reads its parameters' shapes from its checkpoint; here they come from one abstract
evaluation of the UNet. With --shapes the first run writes the shapes to that file and later runs
read them, which makes the comparison fair. With --stablehlo the script writes the program to a
file; if there is neither --cache-dir nor --no-cache, it does nothing else. A run that writes a file
is not a measurement. With --ahead TOPOLOGY, such as v5e:1x1, the script compiles the program for a
TPU that this machine does not have, and serialises it; the caller sets libtpu's environment.
Weights are arguments that are never materialised, so their values do not matter.
"""
import time

START = time.perf_counter()

import argparse
import json
import math
import os

import resource

import jax
import jax.numpy as jnp
from jax import lax

IMPORTED = time.perf_counter()


class Shapes:
    """Returns zeros, and records the shapes of the parameters that are requested."""

    def __init__(self, dtype):
        self.dtype, self.seen = dtype, []

    def __call__(self, *shape):
        self.seen.append(shape)
        return jnp.zeros(shape, self.dtype)


class Values:
    """Returns the given parameters in the order in which Shapes recorded them."""

    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, *_shape):
        return next(self.values)


def conv(p, x, out, kernel=3, stride=1):
    weight, bias, pad = p(out, x.shape[1], kernel, kernel), p(out), kernel // 2
    y = lax.conv_general_dilated(x, weight, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW"))
    return y + bias[None, :, None, None]


def linear(p, x, out, bias=True):
    y = x @ p(x.shape[-1], out)
    return y + p(out) if bias else y


def group_norm(p, x, groups, eps):
    n, c, h, w = x.shape
    scale, shift = p(c).astype(jnp.float32), p(c).astype(jnp.float32)
    y = x.astype(jnp.float32).reshape(n, groups, -1)
    y = (y - y.mean(-1, keepdims=True)) * lax.rsqrt(y.var(-1, keepdims=True) + eps)
    return (y.reshape(n, c, h, w) * scale[None, :, None, None] + shift[None, :, None, None]).astype(x.dtype)


def layer_norm(p, x):
    y = x.astype(jnp.float32)
    y = (y - y.mean(-1, keepdims=True)) * lax.rsqrt(y.var(-1, keepdims=True) + 1e-5)
    return (y * p(x.shape[-1]).astype(jnp.float32) + p(x.shape[-1]).astype(jnp.float32)).astype(x.dtype)


def attention(p, x, context, heads):
    d = x.shape[-1]
    q, k, v = linear(p, x, d, False), linear(p, context, d, False), linear(p, context, d, False)
    split = lambda t: t.reshape(t.shape[0], t.shape[1], heads, d // heads)
    scores = jnp.einsum("bnhd,bmhd->bhnm", split(q), split(k)) / math.sqrt(d // heads)
    weights = jax.nn.softmax(scores.astype(jnp.float32), -1).astype(x.dtype)
    return linear(p, jnp.einsum("bhnm,bmhd->bnhd", weights, split(v)).reshape(x.shape), d)


def transformer(p, x, context, heads, depth, cfg):
    n, c, h, w = x.shape
    residual, as_linear = x, cfg.get("use_linear_projection", False)
    x = group_norm(p, x, cfg["norm_num_groups"], 1e-6)
    x = x if as_linear else conv(p, x, c, 1)
    x = x.reshape(n, c, h * w).transpose(0, 2, 1)
    x = linear(p, x, c) if as_linear else x
    for _ in range(depth):
        y = layer_norm(p, x)
        x = x + attention(p, y, y, heads)
        x = x + attention(p, layer_norm(p, x), context, heads)
        value, gate = jnp.split(linear(p, layer_norm(p, x), c * 8), 2, -1)
        x = x + linear(p, value * jax.nn.gelu(gate, approximate=False), c)
    x = linear(p, x, c) if as_linear else x
    x = x.transpose(0, 2, 1).reshape(n, c, h, w)
    return (x if as_linear else conv(p, x, c, 1)) + residual


def resnet(p, x, time_embedding, out, cfg):
    groups, eps = cfg["norm_num_groups"], cfg["norm_eps"]
    h = conv(p, jax.nn.silu(group_norm(p, x, groups, eps)), out)
    h = h + linear(p, jax.nn.silu(time_embedding), out)[:, :, None, None]
    h = conv(p, jax.nn.silu(group_norm(p, h, groups, eps)), out)
    return h + (x if x.shape[1] == out else conv(p, x, out, 1))


def per_block(value, blocks):
    return list(value) if isinstance(value, (list, tuple)) else [value] * blocks


def unet(p, latents, timestep, context, cfg, dtype):
    channels, layers = cfg["block_out_channels"], cfg["layers_per_block"]
    blocks = len(channels)
    heads, depths = per_block(cfg["attention_head_dim"], blocks), per_block(cfg.get("transformer_layers_per_block", 1), blocks)
    attends = ["CrossAttn" in name for name in cfg["down_block_types"]]
    context, half = context.astype(dtype), channels[0] // 2
    angles = timestep[:, None].astype(jnp.float32) * jnp.exp(-math.log(10000) * jnp.arange(half) / half)[None]
    t = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1).astype(dtype)
    t = linear(p, jax.nn.silu(linear(p, t, channels[0] * 4)), channels[0] * 4)
    x = conv(p, latents.astype(dtype), channels[0])
    skips = [x]
    for i, out in enumerate(channels):
        for _ in range(layers):
            x = resnet(p, x, t, out, cfg)
            x = transformer(p, x, context, heads[i], depths[i], cfg) if attends[i] else x
            skips.append(x)
        if i < blocks - 1:
            x = conv(p, x, out, 3, 2)
            skips.append(x)
    x = resnet(p, x, t, channels[-1], cfg)
    x = transformer(p, x, context, heads[-1], depths[-1], cfg)
    x = resnet(p, x, t, channels[-1], cfg)
    for i, out in reversed(list(enumerate(channels))):
        for _ in range(layers + 1):
            x = resnet(p, jnp.concatenate([x, skips.pop()], 1), t, out, cfg)
            x = transformer(p, x, context, heads[i], depths[i], cfg) if attends[i] else x
        if i > 0:
            n, c, h, w = x.shape
            x = jnp.broadcast_to(x[:, :, :, None, :, None], (n, c, h, 2, w, 2)).reshape(n, c, h * 2, w * 2)
            x = conv(p, x, out)
    x = jax.nn.silu(group_norm(p, x, cfg["norm_num_groups"], cfg["norm_eps"]))
    return conv(p, x, cfg["out_channels"]).astype(jnp.float32)


def arguments(config, batch, height, width, dtype, shapes=None):
    """The config with its defaults, the parameters of one denoiser call, and its other inputs.

    `shapes` has the shapes of the parameters, if they are known.
    """
    cfg = {"norm_num_groups": 32, "norm_eps": 1e-5, "layers_per_block": 2, "out_channels": 4, "attention_head_dim": 8} | config
    dtype, spec = jnp.dtype(dtype), jax.ShapeDtypeStruct
    inputs = (
        spec((batch, cfg["in_channels"], height, width), jnp.float32),
        spec((batch,), jnp.float32),
        spec((batch, 77, cfg["cross_attention_dim"]), jnp.float32),
    )
    if shapes is None:
        asked = Shapes(dtype)
        jax.eval_shape(lambda *xs: unet(asked, *xs, cfg, dtype), *inputs)
        shapes = asked.seen
    return cfg, [spec(tuple(shape), dtype) for shape in shapes], inputs


def lower(cfg, parameters, inputs):
    """Traces and lowers the denoiser call.

    The parameters come first, in the order in which the graph uses them.
    """
    def step(values, *xs):
        return unet(Values(values), *xs, cfg, parameters[0].dtype)
    return jax.jit(step).lower(parameters, *inputs)


def ahead(topology, cfg, parameters, inputs):
    """Compiles for a topology by name, and prints the time, the size and the peak memory."""
    from jax.experimental import topologies
    from jax.experimental.serialize_executable import serialize
    device = topologies.get_topology_desc(topology, "tpu").devices[0]
    placed = jax.sharding.SingleDeviceSharding(device)
    place = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=placed)
    lowered = lower(cfg, [place(x) for x in parameters], [place(x) for x in inputs])
    began = time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - began
    payload, _, _ = serialize(compiled)
    print(json.dumps({
        "compile_seconds": seconds,
        "executable_bytes": len(payload),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cache-dir")
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--shapes")
    parser.add_argument("--stablehlo")
    parser.add_argument("--ahead", metavar="TOPOLOGY")
    args = parser.parse_args()
    if not (args.cache_dir or args.no_cache or args.stablehlo or args.ahead):
        parser.error("give --cache-dir, --no-cache, --stablehlo or --ahead")
    hits = []
    jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event == "/jax/compilation_cache/cache_hits" else None)
    jax.config.update("jax_compilation_cache_dir", args.cache_dir)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    began = time.perf_counter()
    with open(args.config) as file:
        config = json.load(file)
    shapes = None
    if args.shapes and os.path.exists(args.shapes):
        with open(args.shapes) as file:
            shapes = json.load(file)
    cfg, parameters, inputs = arguments(config, args.batch, args.height, args.width, args.dtype, shapes)
    if args.shapes and shapes is None:
        with open(args.shapes, "w") as file:
            json.dump([x.shape for x in parameters], file)
    if args.ahead:
        return ahead(args.ahead, cfg, parameters, inputs)
    shapes_at = time.perf_counter()
    lowered = lower(cfg, parameters, inputs)
    lowered_at = time.perf_counter()
    if args.stablehlo:
        with open(args.stablehlo, "w") as file:
            file.write(lowered.as_text())
        if not (args.cache_dir or args.no_cache):
            return
    compile_began = time.perf_counter()
    lowered.compile()
    ready = time.perf_counter()
    print(json.dumps({
        "import_seconds": IMPORTED - START,
        "shapes_seconds": shapes_at - began,
        "trace_and_lower_seconds": lowered_at - shapes_at,
        "compile_or_load_seconds": ready - compile_began,
        "ready_seconds": ready - START,
        "hit": bool(hits),
        "parameters": sum(math.prod(x.shape) for x in parameters),
    }))


if __name__ == "__main__":
    main()
