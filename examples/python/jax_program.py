"""A function of JAX, compiled once: the next process loads the executable.

    pip install jax
    python examples/python/jax_program.py
"""

import jax
import jax.numpy as jnp
import numpy as np

import preheat


def step(latents, noise, scale):
    return latents - scale * jnp.tanh(noise)


def main() -> None:
    shape = jax.ShapeDtypeStruct((1, 4, 32, 32), "float32")
    scale = jax.ShapeDtypeStruct((), "float32")
    program = preheat.Program.from_jax(jax.jit(step).lower(shape, shape, scale))

    runtime = preheat.Runtime()
    signature = preheat.create_execution_signature("step", shape.shape, dtype="float32")
    executable = runtime.get_or_compile(signature, program)
    print(executable.report["source"])  # "compiled", and "disk" the next time

    latents, noise = np.ones(shape.shape, "float32"), np.zeros(shape.shape, "float32")
    (result,) = executable(latents, noise, 0.5)
    assert np.allclose(result, step(latents, noise, 0.5))
    print(jnp.from_dlpack(result).sum())  # without a copy


if __name__ == "__main__":
    main()
