"""Exports the programs that the tests run, with their inputs and JAX's outputs.

    pip install jax==0.10.2 safetensors
    python tests/programs/export.py

Somebody runs this script by hand and commits its results. Two runs write the same bytes. README.md
beside this script describes each file.
"""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
# With one thread, the terms of a sum are always added in the same order.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import json
import re
import zlib
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import export, lax

import tensorfile

HERE = Path(__file__).resolve().parent
# Without frames, bytes of jax.export and HLO protos contain no file names and line numbers
# (see README.md).
jax.config.update("jax_traceback_in_locations_limit", 0)
# The path of the checkout is private, and would make the files differ between machines.
jax.config.update("jax_hlo_source_file_canonicalization_regex", re.escape(str(HERE.parent.parent)) + "/")

TOLERANCE = {
    "exact": (0, 0, "integers, booleans, or values that are only moved: equal"),
    "float64": (1e-12, 1e-12, "f64: sums of up to a few hundred terms of order one, in another order"),
    "float32": (1e-5, 1e-5, "f32: sums of up to a few hundred terms of order one, in another order"),
    "function": (2e-5, 2e-5, "f32: exp, tanh, erf and their like are polynomials that differ between XLA builds by a few units in the last place"),
    "fft": (1e-4, 1e-4, "f32: a Fourier transform's error grows with the values' sum"),
    "float16": (4e-3, 4e-3, "f16: 11 bits of significand, a few roundings that one compiler keeps and another fuses away"),
    "bfloat16": (4e-2, 4e-2, "bf16: 8 bits of significand, a few roundings that one compiler keeps and another fuses away"),
}
PROGRAMS = []


def shape(dtype, *dims, low=None, high=None):
    """An input to be drawn: normal for floats, uniform over low..high for other dtypes."""
    return np.dtype(dtype), dims, low, high


f32, f16, f64, i8, i32, u8, i64, c64, c128 = (
    partial(shape, d) for d in ("float32", "float16", "float64", "int8", "int32", "uint8", "int64", "complex64", "complex128"))
bf16, boolean = partial(shape, ml_dtypes.bfloat16), partial(shape, "bool")


def draw(random, spec):
    if isinstance(spec, np.ndarray):
        return spec
    dtype, dims, low, high = spec
    if dtype.kind == "b":
        return random.integers(0, 2, dims).astype(bool)
    if dtype.kind in "iu":
        low, high = (low, high) if low is not None else (-100 if dtype.kind == "i" else 0, 100)
        return np.asarray(random.integers(low, high, dims)).astype(dtype)
    if dtype.kind == "c":
        return np.asarray(random.standard_normal(dims) + 1j * random.standard_normal(dims)).astype(dtype)
    return np.asarray(random.standard_normal(dims)).astype(dtype)


def program(topic, *inputs, tolerance="float32", formats=("mlir", "mlirbc"), x64=False, **jit):
    """Registers a function under its own name."""
    def register(function):
        PROGRAMS.append((function, topic, inputs, tolerance, formats, x64, jit))
        return function
    return register


TEXT = ("mlir",)
ALL = ("mlir", "mlirbc", "hlo.pb")


def convolution(x, w, layout, **options):
    options = {"window_strides": (1, 1), "padding": "SAME"} | options
    return lax.conv_general_dilated(x, w, dimension_numbers=layout, **options)


NCHW, NHWC = ("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC")


@program("convolution", f32(2, 8, 12, 12), f32(16, 8, 3, 3), tolerance="float32", formats=ALL)
def conv_nchw(x, w):
    return convolution(x, w / 8, NCHW)


@program("convolution", f32(2, 12, 12, 8), f32(3, 3, 8, 16), formats=ALL)
def conv_nhwc_strided(x, w):
    return convolution(x, w / 8, NHWC, window_strides=(2, 2), padding=[(0, 1), (0, 1)])


@program("convolution", f32(1, 4, 16, 16), f32(6, 4, 3, 3))
def conv_dilated(x, w):
    return convolution(x, w / 6, NCHW, rhs_dilation=(2, 3), padding="VALID")


@program("convolution", f32(2, 10, 10, 12), f32(3, 3, 3, 8))
def conv_grouped(x, w):
    return convolution(x, w / 5, NHWC, feature_group_count=4)


@program("convolution", f32(1, 9, 9, 6), f32(3, 3, 1, 6))
def conv_depthwise(x, w):
    return convolution(x, w / 3, NHWC, feature_group_count=6)


@program("convolution", f32(1, 7, 7, 6), f32(4, 4, 6, 5))
def conv_transposed(x, w):
    return lax.conv_transpose(x, w / 6, (2, 2), "SAME")


@program("convolution", f32(2, 4, 20), f32(6, 4, 5))
def conv_one_dimension(x, w):
    return lax.conv_general_dilated(x, w / 4, (3,), [(2, 1)])


@program("convolution, backward pass", f32(1, 4, 8, 8), f32(5, 4, 3, 3))
def conv_gradient(x, w):
    return jax.grad(lambda x, w: (convolution(x, w / 6, NCHW, window_strides=(2, 2)) ** 2).sum(), (0, 1))(x, w)


@program("attention", f32(2, 4, 10, 8), f32(2, 4, 14, 8), f32(2, 4, 14, 8), tolerance="function", formats=ALL)
def attention(q, k, v):
    weights = jax.nn.softmax(jnp.einsum("bhnd,bhmd->bhnm", q, k) / 8 ** 0.5, -1)
    return jnp.einsum("bhnm,bhmd->bhnd", weights, v)


@program("attention", f32(1, 12, 2, 8), tolerance="function")
def causal_self_attention(x):
    mask = jnp.tril(jnp.ones((12, 12), bool))
    scores = jnp.where(mask, jnp.einsum("bnhd,bmhd->bhnm", x, x), -jnp.inf)
    return jnp.einsum("bhnm,bmhd->bnhd", jax.nn.softmax(scores, -1), x)


@program("softmax", f32(5, 33), tolerance="function")
def softmax_and_logsumexp(x):
    return jax.nn.softmax(x * 4, 0), jax.nn.log_softmax(x, -1), jax.nn.logsumexp(x)


@program("normalisation", f32(4, 6, 32), f32(32), f32(32))
def layer_norm(x, scale, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5) * scale + shift


@program("normalisation", f32(2, 8, 5, 5), f32(8), f32(8))
def group_norm_silu(x, scale, shift):
    y = x.reshape(2, 4, -1)
    y = (y - y.mean(-1, keepdims=True)) * lax.rsqrt(y.var(-1, keepdims=True) + 1e-6)
    return jax.nn.silu(y.reshape(x.shape) * scale[:, None, None] + shift[:, None, None])


@program("control flow: scan", f32(6), f32(9, 6), f32(6, 6), tolerance="function", formats=ALL)
def scan_recurrence(state, xs, w):
    def step(state, x):
        state = jnp.tanh(state @ w / 3 + x)
        return state, state.sum()
    return lax.scan(step, state, xs)


@program("control flow: while", i32(low=27, high=28))
def while_collatz(start):
    return lax.while_loop(
        lambda s: s[0] != 1, lambda s: (jnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1), (start, jnp.int32(0)))


@program("control flow: cond", boolean(2), f32(7), tolerance="function")
def cond_both_ways(flags, x):
    branch = lambda flag: lax.cond(flag, lambda v: jnp.sin(v) * 2, lambda v: jnp.cumsum(v) - 1, x)
    return branch(flags[0]), branch(~flags[0])


@program("control flow: switch", i32(low=2, high=3), f32(4, 4))
def switch_four(index, x):
    branches = [lambda v: v, lambda v: v.T, lambda v: v @ v, lambda v: v[::-1]]
    return lax.switch(index, branches, x), lax.switch(index + 5, branches, x)


@program("control flow: fori", f32(5, 5))
def fori_power_iteration(x):
    def body(i, v):
        v = x @ v + 0.01 * i
        return v / jnp.sqrt((v ** 2).sum())
    return lax.fori_loop(0, 7, body, jnp.ones(5))


@program("sort, stable, several operands", i32(40, low=0, high=6), f32(40), tolerance="exact", formats=ALL)
def sort_multi_operand(keys, values):
    return lax.sort((keys, values, jnp.arange(40, dtype=jnp.int32)), num_keys=1, is_stable=True)


@program("sort", f32(3, 17), tolerance="exact")
def sort_with_nan_and_zeros(x):
    x = x.at[0, 3].set(jnp.nan).at[1, 2].set(-0.0).at[1, 5].set(0.0).at[2, 4].set(-jnp.inf)
    return jnp.sort(x, -1), jnp.sort(x, 0, descending=True)


@program("sort: argsort, argmax", f32(4, 11), tolerance="exact")
def argsort_argmax(x):
    return jnp.argsort(x, -1), jnp.argmax(x, 0), jnp.argmin(x)


@program("top k", f32(3, 20), tolerance="exact", formats=TEXT)
def top_k(x):
    return lax.top_k(x, 5)


@program("gather", f32(9, 4), i32(2, 5, low=-12, high=12), tolerance="exact")
def gather_rows(table, indices):
    return table.at[indices].get(mode="clip"), jnp.take(table, indices, axis=0, mode="fill", fill_value=7)


@program("scatter", f32(10, 3), i32(6, low=0, high=5), f32(6, 3))
def scatter_add(table, indices, updates):
    return table.at[indices].add(updates), table.at[indices].max(updates), table.at[jnp.array([1, 8])].set(updates[:2])


@program("dynamic slice and update", f32(8, 8), i32(low=3, high=4), i32(low=7, high=8), tolerance="exact")
def dynamic_slice_update(x, row, column):
    piece = lax.dynamic_slice(x, (row, column), (3, 2))
    return piece, lax.dynamic_update_slice(x, piece * 2, (column, row))


@program("Fourier transform", c64(3, 12), tolerance="fft")
def fft_complex(x):
    return jnp.fft.fft(x), jnp.fft.ifft(x)


@program("Fourier transform", f32(2, 15), f32(2, 16), tolerance="fft")
def fft_real(odd, even):
    return jnp.fft.rfft(odd), jnp.fft.irfft(jnp.fft.rfft(even))


@program("Fourier transform", c64(2, 6, 8), tolerance="fft")
def fft_two_dimensions(x):
    return jnp.fft.fft2(x)


@program("random bits: threefry", np.array([3, 141592653], np.uint32), tolerance="exact", formats=ALL)
def random_threefry(key):
    key = jax.random.wrap_key_data(key, impl="threefry2x32")
    return jax.random.bits(key, (33,)), jax.random.permutation(key, 10)


@program("random bits: threefry", np.array([0, 7], np.uint32), tolerance="function", formats=TEXT)
def random_normal(key):
    key = jax.random.wrap_key_data(key, impl="threefry2x32")
    return jax.random.normal(key, (4, 8)), jax.random.uniform(key, (5,))


@program("random bits: philox", np.array([1, 2, 3, 4], np.uint32), tolerance="exact")
def random_philox(key):
    return lax.rng_bit_generator(key, (21,), algorithm=lax.RandomAlgorithm.RNG_PHILOX)


@program("bfloat16", bf16(6, 16), bf16(16, 12), bf16(12), tolerance="bfloat16")
def bf16_dense(x, w, b):
    return jax.nn.relu(x @ w / 4 + b), (x * 3).astype(jnp.float32)


@program("float16", f16(6, 16), f16(16, 12), tolerance="float16")
def f16_dense(x, w):
    y = x @ w / 4
    return y, jnp.exp(-jnp.abs(y)).astype(jnp.float32)


@program("int8 product", i8(8, 24, low=-128, high=128), i8(24, 5, low=-128, high=128), tolerance="exact")
def int8_dot(a, b):
    return lax.dot_general(a, b, (((1,), (0,)), ((), ())), preferred_element_type=jnp.int32), a[:, :5] + b[:8]


@program("unsigned bytes", u8(6, 6, low=0, high=256), u8(6, 6, low=0, high=256), tolerance="exact")
def uint8_arithmetic(a, b):
    return a + b, (a >> 3) ^ (b << 1), lax.population_count(a), a.astype(jnp.float32) / 255 > 0.5


@program("64 bit integers", i64(16, low=-2**62, high=2**62), tolerance="exact", x64=True)
def int64_arithmetic(x):
    return x * 6364136223846793005 + 1442695040888963407, x // 1000003, jnp.cumsum(x)


@program("float64", f64(6, 6), f64(6), tolerance="float64", x64=True)
def float64_polynomial(a, x):
    return a @ x, jnp.exp(x / 2) - jnp.sqrt(jnp.abs(x)), x.sum()


@program("complex64", c64(4, 5), c64(5, 3), tolerance="function")
def complex64_product(a, b):
    c = a @ b
    return c, jnp.conj(c).T, jnp.abs(c), jnp.exp(1j * c.real), c.imag


@program("complex128", c128(3, 3), tolerance="float64", x64=True)
def complex128_product(a):
    return a @ a, jnp.angle(a), a / (a[0, 0] + 2)


@program("several outputs", f32(3, 4), i32(3), boolean(3), tolerance="float32")
def several_outputs(x, n, flags):
    return {"sum": x.sum(0), "count": n * 2, "flags": ~flags, "same": x, "scalar": flags.sum()}


@program("donated arguments", f32(4, 8), f32(4, 8), f32(), formats=ALL, donate_argnums=(0,))
def donated_update(latents, noise, step):
    return latents - step * noise


@program("donated arguments", f32(6), i32(6), f32(6), tolerance="float32", donate_argnums=(0, 1))
def donated_two_of_three(a, n, b):
    return n + 1, a * b, b.sum()


@program("zero-size shapes", f32(0, 4), f32(3, 0), f32(0,), tolerance="exact")
def zero_size(a, b, c):
    return a * 2, b @ a, jnp.concatenate([c, jnp.arange(3.0)]), c.sum()


@program("scalars", f32(), i32(), boolean(), tolerance="float32")
def scalars(x, n, flag):
    return x * n, jnp.where(flag, n, -n), jnp.logical_not(flag)


@program("booleans", boolean(4, 6), boolean(4, 6), tolerance="exact")
def booleans(a, b):
    return a & b, a ^ b, a.any(0), b.all(1), jnp.where(a, 1, 2)


@program("cumulative sums", f32(5, 19))
def cumulative(x):
    return jnp.cumsum(x, 1), lax.cumprod(x[:, :6], 1), lax.cummax(x, 0, reverse=True)


@program("reduce window", f32(2, 9, 9, 3), formats=ALL)
def pooling(x):
    pool = lambda start, f, pad: lax.reduce_window(x, start, f, (1, 3, 3, 1), (1, 2, 2, 1), pad)
    return pool(-jnp.inf, lax.max, "SAME"), pool(0.0, lax.add, "VALID") / 9


@program("einsum", f32(3, 4, 5), f32(5, 4, 6), f32(6, 3))
def einsum_three(a, b, c):
    return jnp.einsum("ijk,kjl,li->jl", a, b, c) / 8, jnp.einsum("iji->ij", a[:, :, :3])


@program("padding, also negative and interior", f32(5, 6), tolerance="exact")
def pad_negative_interior(x):
    return lax.pad(x, 9.0, ((-1, 2, 1), (2, -3, 0))), lax.pad(x, -1.0, ((0, 0, 2), (-2, -2, 1)))


@program("reverse, clamp, iota, select", f32(4, 7), tolerance="exact")
def reverse_clamp_iota(x):
    rows = lax.broadcasted_iota(jnp.int32, (4, 7), 0)
    return lax.rev(x, (0, 1)), lax.clamp(-0.5, x, 0.75), jnp.where(rows % 2 == 0, x, 0), jnp.round(x * 3)


@program("erf and GELU, a CHLO composite", f32(6, 9), tolerance="function", formats=TEXT)
def gelu_erf(x):
    return jax.nn.gelu(x, approximate=False), lax.erf(x), jax.nn.gelu(x, approximate=True)


@program("no inputs", tolerance="exact")
def no_inputs():
    return jnp.arange(12, dtype=jnp.int32).reshape(3, 4) * 5, lax.iota(jnp.float32, 4)


@program("no inputs, constants only", tolerance="exact")
def constant_only():
    return jnp.array([[1.5, -2.25, 1e-30], [3e38, -0.0, jnp.inf]], jnp.float32), jnp.uint8(200)


@program("an unused argument, removed", f32(3), f32(5, 5), f32(3), tolerance="float32")
def unused_dropped(a, _unused, b):
    return a - b


@program("an unused argument, kept", f32(3), f32(5, 5), f32(3), tolerance="float32", keep_unused=True)
def unused_kept(a, _unused, b):
    return a - b


@program("a small residual block, and its gradient", f32(2, 6, 8, 8), f32(6, 6, 3, 3), f32(6), tolerance="function")
def residual_block_gradient(x, w, b):
    def loss(w, b):
        y = jax.nn.silu(convolution(x, w / 7, NCHW) + b[:, None, None])
        return ((x + y) ** 2).mean()
    return jax.value_and_grad(loss, (0, 1))(w, b)


def export_program(function, topic, inputs, tolerance, formats, x64, jit):
    name = function.__name__
    jax.config.update("jax_enable_x64", x64)
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = [draw(random, spec) for spec in inputs]
    jitted = jax.jit(function, **jit)
    specs = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in values]
    lowered, exported = jitted.lower(*specs), export.export(jitted, platforms=["cpu"])(*specs)
    kept = exported.module_kept_var_idx
    files = []
    for kind in formats:
        if kind == "mlir":
            code = lowered.as_text().encode()
        elif kind == "mlirbc":
            code = bytes(exported.mlir_module_serialized)
        else:
            code = lowered.compiler_ir("hlo").as_serialized_hlo_module_proto()
        (HERE / f"{name}.{kind}").write_bytes(code)
        files.append(f"{name}.{kind}")
    outputs = [np.asarray(x) for x in jax.tree.leaves(jitted(*[v.copy() for v in values]))]
    tensorfile.write(HERE / f"{name}.inputs.safetensors", {f"arg{i}": values[k] for i, k in enumerate(kept)})
    tensorfile.write(HERE / f"{name}.outputs.safetensors", {f"out{i}": x for i, x in enumerate(outputs)})
    rtol, atol, reason = TOLERANCE[tolerance]
    describe = lambda arrays: [{"dtype": x.dtype.name, "shape": list(x.shape)} for x in arrays]
    return {
        "name": name,
        "topic": topic,
        "files": files,
        "inputs": describe(values[k] for k in kept),
        "outputs": describe(outputs),
        "tolerance": {"rtol": rtol, "atol": atol, "reason": reason},
        "jax_version": jax.__version__,
        "donated": [kept.index(i) for i in jit.get("donate_argnums", ())],
    }


def clean():
    for kind in ("*.mlir", "*.mlirbc", "*.hlo.pb", "*.safetensors"):
        for folder in (HERE, HERE / "pairs", HERE / "refused"):
            for path in folder.glob(kind):
                path.unlink()


def write_json(path, value):
    rows = ",\n".join(json.dumps(row) for row in value)
    path.write_text(f"[\n{rows}\n]\n")


# The pairs are traced from this text. It is compiled under made-up file names, and is never in a
# file of its own.
PAIR_SOURCE = """
def {name}(x, w):
    y = jnp.tanh(x @ w)
    return y * {factor} + x.sum()
"""


def trace_pair(name="step", file="model.py", line=0, factor="2.0", donate=(), frames=1):
    """Lowers PAIR_SOURCE as if it were in `file`, moved down by `line` lines."""
    jax.config.update("jax_traceback_in_locations_limit", frames)
    scope = {"jnp": jnp}
    exec(compile("\n" * line + PAIR_SOURCE.format(name=name, factor=factor), file, "exec"), scope)
    jitted = jax.jit(scope[name], donate_argnums=donate)
    specs = jax.ShapeDtypeStruct((4, 6), jnp.float32), jax.ShapeDtypeStruct((6, 6), jnp.float32)
    return jitted.lower(*specs), export.export(jitted, platforms=["cpu"])(*specs)


def export_pairs():
    folder, rows = HERE / "pairs", []
    folder.mkdir(exist_ok=True)
    jax.config.update("jax_enable_x64", False)
    forms = {
        "mlir": lambda pair: pair[0].as_text(debug_info=True).encode(),
        "mlirbc": lambda pair: bytes(pair[1].mlir_module_serialized),
        "hlo.pb": lambda pair: pair[0].compiler_ir("hlo").as_serialized_hlo_module_proto(),
    }

    def pair(name, differs, same, kind, a, b):
        files = []
        for side, code in (("a", a), ("b", b)):
            files.append(f"pairs/{name}.{side}.{kind}")
            (HERE / files[-1]).write_bytes(code)
        rows.append({"name": name, "differs": differs, "same_program": same, "files": files, "equal_bytes": a == b})

    moves = {
        "moved_line": ("the source line", True, {"line": 40}),
        "other_file": ("the source file", True, {"file": "other/place.py"}),
        "module_name": ("the module's name and the source line", True, {"name": "another", "line": 3}),
        "constant": ("a constant", False, {"factor": "3.0"}),
        "donation": ("the first argument is donated in one", False, {"donate": (0,)}),
    }
    for name, (differs, same, change) in moves.items():
        for kind, form in forms.items():
            pair(f"{name}_{kind.split('.')[0]}", differs, same, kind, form(trace_pair()), form(trace_pair(**change)))
    quiet = trace_pair(frames=0), trace_pair(frames=0, line=40, file="other/place.py")
    pair("no_frames_mlirbc", "the source line and file, with jax_traceback_in_locations_limit=0", True, "mlirbc",
         *map(forms["mlirbc"], quiet))
    lowered = trace_pair()[0]
    pair("debug_info_mlir", "one text with locations, one without", True, "mlir",
         lowered.as_text(debug_info=True).encode(), lowered.as_text().encode())
    jax.config.update("jax_traceback_in_locations_limit", 0)
    write_json(HERE / "pairs.json", rows)


def export_refused():
    """Bytes that StableHLO 1.13.3 cannot read: a composite's attributes are newer than it."""
    folder = HERE / "refused"
    folder.mkdir(exist_ok=True)
    jax.config.update("jax_enable_x64", False)
    exported = export.export(jax.jit(gelu_erf), platforms=["cpu"])(jax.ShapeDtypeStruct((6, 9), jnp.float32))
    (folder / "newer_than_the_plugin.mlirbc").write_bytes(exported.mlir_module_serialized)


def main():
    clean()
    write_json(HERE / "manifest.json", [export_program(*entry) for entry in PROGRAMS])
    export_pairs()
    export_refused()


if __name__ == "__main__":
    main()
