"""Exports the programs of this folder from JAX. It is run by hand, and its results are committed:

    pip install jax==0.10.2
    python examples/programs/export.py

Two runs write the same text. README.md beside this file says what each program is.
"""
import os
import sys
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
HERE = Path(__file__).parent
PEERS = HERE.parent.parent / "benches" / "peers"
sys.path.insert(0, str(PEERS))
sys.dont_write_bytecode = True

import json

import jax
import jax.numpy as jnp
from jax import lax

import jax_unet
from jax_unet import conv, group_norm, layer_norm, linear


def unet_step():
    """One guided denoiser call of the small UNet: both halves of the guidance in a batch of two."""
    config = json.loads((PEERS / "configs" / "unet_small.json").read_text())
    return jax_unet.lower(*jax_unet.arguments(config, batch=2, height=32, width=32, dtype="float32"))


def with_parameters(build, *inputs, **jit):
    """Lowers build(parameters, *inputs), where build names each parameter's shape as it uses it."""
    shapes = jax_unet.Shapes(jnp.float32)
    jax.eval_shape(lambda *xs: build(shapes, *xs), *inputs)
    parameters = [f32(*shape) for shape in shapes.seen]

    def step(values, *xs):
        return build(jax_unet.Values(values), *xs)
    step.__name__ = build.__name__
    return jax.jit(step, **jit).lower(parameters, *inputs)


def f32(*dims):
    return jax.ShapeDtypeStruct(dims, jnp.float32)


def attention_block():
    """Self-attention and a GELU feed-forward layer, each after a layer norm and with a residual: 64 tokens of 128, 4 heads."""
    def attention_block(p, x):
        y = layer_norm(p, x)
        x = x + jax_unet.attention(p, y, y, heads=4)
        return x + linear(p, jax.nn.gelu(linear(p, layer_norm(p, x), 512), approximate=False), 128)
    return with_parameters(attention_block, f32(1, 64, 128))


def vae_upsample():
    """The last steps of a VAE's decoder: a residual block, twice the size, a convolution down to an RGB image in 0..1."""
    def vae_upsample(p, x):
        y = conv(p, jax.nn.silu(group_norm(p, x, 8, 1e-6)), 32)
        x = x + conv(p, jax.nn.silu(group_norm(p, y, 8, 1e-6)), 32)
        n, c, h, w = x.shape
        x = jnp.broadcast_to(x[:, :, :, None, :, None], (n, c, h, 2, w, 2)).reshape(n, c, h * 2, w * 2)
        x = conv(p, jax.nn.silu(group_norm(p, conv(p, x, 32), 8, 1e-6)), 3)
        return jnp.clip(x / 2 + 0.5, 0, 1)
    return with_parameters(vae_upsample, f32(1, 32, 32, 32))


def euler_step():
    """Classifier-free guidance and Euler's update from one sigma to the next. The latents are donated, so they are updated in place."""
    def euler_step(latents, noise_predictions, cfg_scale, sigma, next_sigma):
        unguided, guided = noise_predictions[:1], noise_predictions[1:]
        noise = unguided + cfg_scale * (guided - unguided)
        latents = latents + (next_sigma - sigma) * noise
        return latents, latents * lax.rsqrt(next_sigma ** 2 + 1)
    return jax.jit(euler_step, donate_argnums=0).lower(f32(1, 4, 64, 64), f32(2, 4, 64, 64), f32(), f32(), f32())


def main():
    for build in (unet_step, attention_block, vae_upsample, euler_step):
        (HERE / f"{build.__name__}.mlir").write_text(build().as_text())


if __name__ == "__main__":
    main()
