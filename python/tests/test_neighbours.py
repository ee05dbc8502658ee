"""Does preheat work in one process with JAX and with torch?"""

import sys
import types

import pytest
from conftest import in_a_child

import preheat
from preheat import _surroundings


@pytest.mark.parametrize("first", ["jax", "preheat"])
def test_jax_and_preheat_compute_side_by_side(first, tmp_path):
    code = f"""
import {first}
import preheat, jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_platforms", "cpu")
runtime = preheat.Runtime(cache_dir={str(tmp_path)!r})
lowered = jax.jit(lambda x: jnp.sin(x) * 2).lower(jax.ShapeDtypeStruct((8, 8), "float32"))
program = preheat.Program.from_jax(lowered)
run = runtime.get_or_compile(preheat.create_execution_signature("sin", [8, 8]), program)
x = jnp.arange(64, dtype="float32").reshape(8, 8)
(out,) = run(x)
assert np.allclose(out, jnp.sin(x) * 2, atol=1e-6)
assert jnp.from_dlpack(out).shape == (8, 8)
half = jnp.ones((4,), "bfloat16")
tensor = preheat.Tensor(half)
assert tensor.dtype == "bfloat16" and tensor.numpy().astype("float32").tolist() == [1] * 4
print(runtime.device["selected"])
"""
    assert in_a_child(code).strip() in ("xla-cpu", "xla-cuda", "tpu")


def test_what_jax_sets_on_import_starts_no_search_for_a_tpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", types.ModuleType("jax"))
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    hidden = _surroundings.prepare()
    import os

    assert hidden == "1" and "TPU_SKIP_MDS_QUERY" not in os.environ
    _surroundings.restore(hidden)
    assert os.environ["TPU_SKIP_MDS_QUERY"] == "1"


def test_a_variable_that_a_person_set_stays():
    code = """
import sys, types, os
sys.modules["jax"] = types.ModuleType("jax")
from preheat import _surroundings
print(_surroundings.prepare(), os.environ["TPU_SKIP_MDS_QUERY"])
"""
    assert in_a_child(code, TPU_SKIP_MDS_QUERY="1").strip() == "None 1"


def torch_of(version, folder):
    torch = types.ModuleType("torch")
    torch.__version__, torch.__file__ = version, f"{folder}/torch/__init__.py"
    return torch


def test_the_libtorch_of_pythons_torch_is_used_if_its_version_fits(monkeypatch, tmp_path):
    import os

    monkeypatch.setitem(sys.modules, "torch", torch_of("2.11.0+cpu", tmp_path))
    monkeypatch.delenv("LIBTORCH", raising=False)
    _surroundings.prepare()
    assert os.environ.pop("LIBTORCH") == str(tmp_path / "torch")


def test_another_torch_refuses_libtorchs_devices_in_words(monkeypatch, tmp_path):
    monkeypatch.setenv("PREHEAT_TORCH_BACKEND", "")
    monkeypatch.setitem(sys.modules, "torch", torch_of("2.4.1", tmp_path))
    with pytest.raises(preheat.DeviceError, match=r"torch-2\.4\.1-is-loaded-and-preheat-needs"):
        preheat.Runtime("cpu", strict_device=True, for_programs=False, use_cache=False)
    assert preheat.Runtime("xla-cpu", use_cache=False).device["selected"] == "xla-cpu"


def test_the_device_of_the_environment_is_the_default(tmp_path):
    code = "import preheat; print(preheat.Runtime(use_cache=False).device['requested'])"
    assert in_a_child(code, PREHEAT_DEVICE="xla-cpu").strip() == "xla-cpu"
