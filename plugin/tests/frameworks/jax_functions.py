"""Forty JAX functions: the result of each, and what JAX reports about its executable.

usage: jax_functions.py RESULTS.json

`cargo xtask test --plugin` runs it through preheat's plugin. The contents of the results file must
be equal whether the programs were compiled or served from the cache.
"""

import functools
import hashlib
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

x = jnp.asarray(np.linspace(-2, 2, 64, dtype=np.float32).reshape(8, 8))
v = jnp.asarray(np.linspace(0.1, 3, 8, dtype=np.float32))
key = jax.random.key(7)
mesh = Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("a", "b"))


def on_mesh(array, *spec):
    return jax.device_put(array, NamedSharding(mesh, P(*spec)))


@functools.partial(jax.custom_vjp)
def clipped(value):
    return value**2


clipped.defvjp(
    lambda value: (clipped(value), value), lambda value, g: (jnp.clip(g * value, -1, 1),)
)

FUNCTIONS = {
    "add": (lambda: (jax.jit(lambda a, b: a + 2 * b), (x, x))),
    "matmul": (lambda: (jax.jit(lambda a: a @ a.T), (x,))),
    "grad": (lambda: (jax.jit(jax.grad(lambda a: jnp.sum(jnp.sin(a) ** 2))), (x,))),
    "hessian": (lambda: (jax.jit(jax.hessian(lambda a: jnp.sum(a**3))), (v,))),
    "jvp": (lambda: (jax.jit(lambda a: jax.jvp(jnp.tanh, (a,), (a,))), (v,))),
    "vmap": (lambda: (jax.jit(jax.vmap(lambda a: a / (1 + jnp.sum(a**2)))), (x,))),
    "custom_vjp": (lambda: (jax.jit(jax.grad(clipped)), (jnp.float32(3),))),
    "scan": (lambda: (jax.jit(lambda a: lax.scan(lambda c, r: (0.5 * c + r, c), a[0], a)), (x,))),
    "while": (
        lambda: (
            jax.jit(
                lambda a: lax.while_loop(
                    lambda s: s[0] < 5, lambda s: (s[0] + 1, s[1] * 1.1), (0, a)
                )
            ),
            (v,),
        )
    ),
    "cond": (lambda: (jax.jit(lambda a: lax.cond(a.sum() > 0, jnp.sin, jnp.cos, a)), (v,))),
    "switch": (
        lambda: (jax.jit(lambda i, a: lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], a)), (1, v))
    ),
    "fori": (lambda: (jax.jit(lambda a: lax.fori_loop(0, 10, lambda i, s: s + i * a, a)), (v,))),
    "conv": (
        lambda: (
            jax.jit(
                lambda a: lax.conv_general_dilated(
                    a[None, None], jnp.ones((2, 1, 3, 3)), (1, 1), "SAME"
                )
            ),
            (x,),
        )
    ),
    "pool": (
        lambda: (
            jax.jit(lambda a: lax.reduce_window(a, -jnp.inf, lax.max, (2, 2), (2, 2), "VALID")),
            (x,),
        )
    ),
    "fft": (lambda: (jax.jit(lambda a: jnp.abs(jnp.fft.fft2(a))), (x,))),
    "sort": (lambda: (jax.jit(lambda a: jnp.sort(a, axis=0)[::-1]), (x,))),
    "argsort": (lambda: (jax.jit(jnp.argsort), (x,))),
    "top_k": (lambda: (jax.jit(lambda a: lax.top_k(a, 3)), (x,))),
    "gather": (lambda: (jax.jit(lambda a, i: a[i]), (x, jnp.array([3, 1, 3])))),
    "scatter": (lambda: (jax.jit(lambda a: a.at[jnp.array([1, 1, 2])].add(1.0)), (x,))),
    "cumsum": (lambda: (jax.jit(lambda a: jnp.cumsum(a, 1)), (x,))),
    "logsumexp": (lambda: (jax.jit(jax.nn.logsumexp), (x,))),
    "softmax": (lambda: (jax.jit(jax.nn.softmax), (x,))),
    "einsum": (lambda: (jax.jit(lambda a: jnp.einsum("ij,kj->ik", a, a)), (x,))),
    "bfloat16": (
        lambda: (
            jax.jit(
                lambda a: (a.astype(jnp.bfloat16) @ a.astype(jnp.bfloat16)).astype(jnp.float32)
            ),
            (x,),
        )
    ),
    "int8": (lambda: (jax.jit(lambda a: (a * 10).astype(jnp.int8)), (x,))),
    "complex": (lambda: (jax.jit(lambda a: jnp.real(jnp.exp(1j * a))), (v,))),
    "normal": (lambda: (jax.jit(lambda k: jax.random.normal(k, (5,))), (key,))),
    "permutation": (lambda: (jax.jit(lambda k: jax.random.permutation(k, 9)), (key,))),
    "categorical": (lambda: (jax.jit(lambda k, a: jax.random.categorical(k, a)), (key, x))),
    "remat": (
        lambda: (jax.jit(jax.grad(jax.checkpoint(lambda a: jnp.sum(jnp.sin(jnp.sin(a)))))), (v,))
    ),
    "donation": (lambda: (jax.jit(lambda a: a * 3, donate_argnums=0), (x + 0,))),
    "static": (lambda: (jax.jit(lambda a, n: jnp.tile(a, n), static_argnums=1), (v, 3))),
    "no_inputs": (lambda: (jax.jit(lambda: jnp.arange(7.0) ** 2), ())),
    "several_outputs": (
        lambda: (jax.jit(lambda a: {"sum": a.sum(), "pair": (a.min(), a.max())}), (x,))
    ),
    "options": (
        lambda: (
            jax.jit(lambda a: jnp.exp(a), compiler_options={"xla_cpu_enable_fast_min_max": True}),
            (v,),
        )
    ),
    "sharded": (
        lambda: (jax.jit(lambda a, b: a @ b), (on_mesh(x, "a", None), on_mesh(x, None, "b")))
    ),
    "shard_map": (
        lambda: (
            jax.jit(
                jax.shard_map(
                    lambda a: lax.psum(a, "a"),
                    mesh=mesh,
                    in_specs=P("a", "b"),
                    out_specs=P(None, "b"),
                )
            ),
            (x,),
        )
    ),
    "pmap": (
        lambda: (
            jax.pmap(lambda a: a - lax.pmean(a, "d"), axis_name="d", devices=jax.devices()[:4]),
            (x[:4],),
        )
    ),
    "second_device": (
        lambda: (jax.jit(lambda a: jnp.cos(a) * 2), (jax.device_put(x, jax.devices()[2]),))
    ),
}


def plain(value):
    return [
        np.asarray(
            jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        ).tolist()
        for leaf in jax.tree.leaves(value)
    ]


def described(function, arguments):
    """What JAX reports about the executable, as far as it must be the same compiled and served."""
    compiled = function.lower(*arguments).compile()
    memory = compiled.memory_analysis()
    runtime = compiled.runtime_executable()
    return {
        "text": hashlib.sha256(compiled.as_text().encode()).hexdigest(),
        "cost": {name: value for name, value in sorted((compiled.cost_analysis() or {}).items())},
        "memory": [
            getattr(memory, name, None)
            for name in (
                "argument_size_in_bytes",
                "output_size_in_bytes",
                "alias_size_in_bytes",
                "temp_size_in_bytes",
            )
        ],
        "layouts": str(jax.tree.leaves(compiled.output_formats)),
        "shardings": str(compiled.output_shardings),
        "fingerprint": (
            (getattr(runtime, "fingerprint", None) or b"").hex() if runtime is not None else None
        ),
    }


def main():
    results = {}
    for name, make in FUNCTIONS.items():
        function, arguments = make()
        said = described(function, arguments)
        values = plain(function(*arguments))
        results[name] = {"values": values, "said": said}
    assert len(results) == 40, len(results)
    with open(sys.argv[1], "w") as file:
        json.dump(results, file)


main()
