"""A function of JAX that later processes neither trace nor lower. Run it three times:

    pip install jax
    python examples/python/jax_cached.py    # recorded, then confirmed, then untraced
"""

import jax.numpy as jnp
import numpy as np

from preheat.jax import cached_jit

STRENGTH = 0.1  # Change it: the next run records anew.


@cached_jit
def step(latents, noise):
    return latents - STRENGTH * jnp.tanh(noise)


def main() -> None:
    latents, noise = np.ones((1, 4, 32, 32), "float32"), np.zeros((1, 4, 32, 32), "float32")
    result = step(latents, noise)
    assert np.allclose(result, latents)
    print(step.reports[0].source, step.reason or "")


if __name__ == "__main__":
    main()
