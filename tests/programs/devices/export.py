"""Exports programs for several devices, and programs for one device with special requirements.

    pip install jax==0.10.2 flatbuffers
    python tests/programs/devices/export.py

Somebody runs this script by hand and commits its results.

| file | what it is |
|---|---|
| `psum_two_PARTITIONER.*` | a sum over two devices, with `jax.shard_map` |
| `psum_one.*` | the same over a mesh of one device, so that one device can run it |
| `matmul_four_PARTITIONER.*` | a matrix product whose rows are divided among four devices |
| `double.exported` | a function for one device |
| `column_major.*` | a function for one device that needs its input in column-major order |
| `cholesky.mlir`, `callback.mlir` | programs that call functions of JAX's own process |

PARTITIONER is `gspmd` or `shardy`. `.mlir`, `.mlirbc` and `.hlo.pb` are as in the folder above;
`.exported` is `Exported.serialize()`.
"""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.experimental.layout import Format, Layout
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

HERE = Path(__file__).resolve().parent
jax.config.update("jax_traceback_in_locations_limit", 0)
VECTOR = jax.ShapeDtypeStruct((4,), jnp.float32)
MATRIX = jax.ShapeDtypeStruct((8, 8), jnp.float32)


def save(name, function, *arguments, forms=("mlir", "mlirbc")):
    contents = {
        "mlir": lambda: function.lower(*arguments).as_text().encode(),
        "mlirbc": lambda: export.export(function)(*arguments).mlir_module_serialized,
        "hlo.pb": lambda: function.lower(*arguments).compiler_ir("hlo").as_serialized_hlo_module_proto(),
        "exported": lambda: bytes(export.export(function)(*arguments).serialize()),
    }
    for form in forms:
        (HERE / f"{name}.{form}").write_bytes(contents[form]())


def mesh(devices):
    return jax.make_mesh((devices,), ("x",), axis_types=(AxisType.Auto,))


def psum(devices):
    total = lambda x: jax.lax.psum(x, "x")
    return jax.jit(jax.shard_map(total, mesh=mesh(devices), in_specs=PartitionSpec("x"), out_specs=PartitionSpec()))


def matmul(devices):
    rows = NamedSharding(mesh(devices), PartitionSpec("x", None))
    whole = NamedSharding(mesh(devices), PartitionSpec())
    return jax.jit(lambda a, b: a @ b, in_shardings=(rows, whole), out_shardings=rows)


for partitioner in ("gspmd", "shardy"):
    jax.config.update("jax_use_shardy_partitioner", partitioner == "shardy")
    save(f"psum_two_{partitioner}", psum(2), VECTOR, forms=("mlir", "mlirbc", "hlo.pb", "exported"))
    save(f"matmul_four_{partitioner}", matmul(4), MATRIX, MATRIX, forms=("mlir", "mlirbc", "hlo.pb", "exported"))
jax.config.update("jax_use_shardy_partitioner", False)
save("psum_one", psum(1), VECTOR, forms=("mlir", "mlirbc", "hlo.pb"))
save("double", jax.jit(lambda x: x + x), VECTOR, forms=("exported",))
columns = Format(Layout((1, 0)), SingleDeviceSharding(jax.devices()[0]))
save("column_major", jax.jit(lambda a: a.reshape(-1), in_shardings=columns), jax.ShapeDtypeStruct((2, 3), jnp.float32),
     forms=("mlir", "mlirbc"))
save("cholesky", jax.jit(jnp.linalg.cholesky), jax.ShapeDtypeStruct((3, 3), jnp.float32), forms=("mlir",))
save("callback", jax.jit(lambda x: jax.pure_callback(np.asarray, VECTOR, x)), VECTOR, forms=("mlir",))
