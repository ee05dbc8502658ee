"""Eight small programs, for many processes that start at the same time."""
import json
import sys

import jax
import jax.numpy as jnp

results = []
for index in range(8):
    function = jax.jit(lambda a, index=index: jnp.sum(jnp.sin(a * (index + 1)) @ a.T) + index)
    results.append(float(function(jax.device_put(jnp.ones((24, 24), jnp.float32) / 24))))
with open(sys.argv[1], "w") as file:
    json.dump(results, file)
