"""What do the tests share? A runtime on XLA:CPU with a new cache, and small programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import preheat

ROOT = Path(__file__).resolve().parents[2]
DEMO_MODEL = ROOT / "examples" / "demo-model"

ADD = """
module @add {
  func.func public @main(%x: tensor<16x16xf32>, %y: tensor<16x16xf32>) -> tensor<16x16xf32> {
    %0 = stablehlo.add %x, %y : tensor<16x16xf32>
    return %0 : tensor<16x16xf32>
  }
}
"""


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="try every row of the long tables")


def identity(dtype, shape="4"):
    """A program that returns its input."""
    kind = f"tensor<{shape}x{dtype}>" if shape else f"tensor<{dtype}>"
    return preheat.Program(
        f"func.func public @main(%x: {kind}) -> {kind} {{ return %x : {kind} }}"
    )


def slow_program(rounds):
    """A program that runs long: a loop of that many rounds, of some microseconds each."""
    return preheat.Program(
        f"""
        func.func public @main(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {{
          %zero = stablehlo.constant dense<0> : tensor<i64>
          %r:2 = stablehlo.while(%i = %zero, %y = %x) : tensor<i64>, tensor<64x64xf32>
            cond {{
              %most = stablehlo.constant dense<{rounds}> : tensor<i64>
              %c = stablehlo.compare LT, %i, %most : (tensor<i64>, tensor<i64>) -> tensor<i1>
              stablehlo.return %c : tensor<i1>
            }} do {{
              %one = stablehlo.constant dense<1> : tensor<i64>
              %n = stablehlo.add %i, %one : tensor<i64>
              %z = stablehlo.dot %y, %y : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
              stablehlo.return %n, %z : tensor<i64>, tensor<64x64xf32>
            }}
          return %r#1 : tensor<64x64xf32>
        }}
        """
    )


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    return preheat.Runtime("xla-cpu", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def add(runtime):
    signature = preheat.create_execution_signature("add", [16, 16])
    return runtime.get_or_compile(signature, preheat.Program(ADD))


def compiled(runtime, program, name="test"):
    return runtime.get_or_compile(preheat.create_execution_signature(name, [1]), program)


def in_a_child(code, timeout=120, **environment):
    """Runs Python code in a process of its own, and returns its output."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
