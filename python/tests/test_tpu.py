"""Does the specification's API do what the specification says?"""

import argparse

import pytest
from conftest import ADD, in_a_child

import preheat
from preheat import tpu


@pytest.fixture
def manager(tmp_path):
    runtime = preheat.Runtime("xla-cpu", cache_dir=tmp_path)
    tpu.tpu_manager.configure(runtime)
    yield tpu.tpu_manager
    tpu.tpu_manager.configure()


def test_signatures_are_counted_asked_for_and_cleared(manager):
    key = tpu.CompilationCacheKey(
        model_id="add", input_shape=[16, 16], batch_size=1, cfg_scale=7.5, scheduler="euler",
        steps=20, dtype="float32",
    )  # fmt: skip
    assert key == tpu.create_execution_signature("add", [16, 16], 1, 7.5, "euler", 20, "float32")
    assert tpu.get_tpu_stats()["cached_signatures"] == 0 and not manager.is_cached(key)
    manager.runtime.warmup(key, preheat.Program(ADD))
    assert tpu.get_tpu_stats()["cached_signatures"] == 1 and manager.is_cached(key)
    assert manager.clear_cache()["removed"] == 1
    assert tpu.get_tpu_stats()["cached_signatures"] == 0 and not manager.is_cached(key)


def test_steps_are_timed_and_at_most_two_are_queued(manager):
    key = tpu.create_execution_signature("add", [16, 16])
    add = manager.runtime.get_or_compile(key, preheat.Program(ADD))
    at = add.to_device(add.zeros()[0])
    for _ in range(4):
        with tpu.tpu_context.step_boundary("of_this_test") as step:
            (at,) = add.run([at, at], on_device=True)
            step.until(at)
    assert len(tpu.tpu_context.step_times("of_this_test")) == 4
    with pytest.raises(ZeroDivisionError), tpu.tpu_context.step_boundary("of_this_test"):
        raise ZeroDivisionError
    assert len(tpu.tpu_context.step_times("of_this_test")) == 4


def test_autocast_names_the_dtype_that_models_compute_in(manager):
    with tpu.tpu_context.autocast_context() as dtype:
        assert dtype == "float32"  # a CPU does not compute in bfloat16
        assert tpu._autocast.get() is True
    with tpu.tpu_context.autocast_context(enabled=False) as dtype:
        assert dtype == "float32" and tpu._autocast.get() is False
    assert tpu._autocast.get() is None


def parsed(*flags):
    parser = argparse.ArgumentParser()
    parser.add_argument("--mine", default=3)
    preheat.add_arguments(parser)
    return parser.parse_args(flags)


def test_a_program_of_ones_own_takes_the_flags(tmp_path):
    args = parsed(
        "--device", "xla-cpu", "--cache-dir", str(tmp_path), "--tpu-manual-warmup",
        "--tpu-shape-padding-multiple", "128", "--tpu-compilation-cache=true",
        "--tpu-warmup-steps", "1", "--cache-max-size", "1.5GiB", "--tpu-autocast-bf16", "false",
    )  # fmt: skip
    assert args.mine == 3 and args.tpu_shape_padding_multiple == 128 and args.tpu_manual_warmup
    assert args.cache_max_size == 3 << 29 and args.tpu_autocast_bf16 is False
    options = preheat.RuntimeOptions(args)
    runtime = options.runtime()
    assert runtime.device["selected"] == "xla-cpu" and runtime.cache.dir == tmp_path
    assert options.pipeline_settings()["padding_multiple_px"] == 128
    with pytest.warns(preheat.PreheatWarning, match="warm"):
        signature = preheat.create_execution_signature("add", [16, 16])
        runtime.get_or_compile(signature, preheat.Program(ADD))
    tpu.tpu_manager.configure(args)
    try:
        assert tpu.tpu_manager.is_cached(signature)
    finally:
        tpu.tpu_manager.configure()


def test_the_older_name_of_manual_warmup_is_taken():
    assert parsed("--tpu-warmup-enable").tpu_manual_warmup


@pytest.mark.parametrize(
    "flags",
    [
        ("--tpu-shape-padding-multiple", "65"),
        ("--tpu-shape-padding-multiple", "0"),
        ("--tpu-warmup-steps", "-1"),
        ("--cache-max-size", "much"),
        ("--tpu-enable", "--tpu-disable"),
        ("--tpu-compilation-cache=maybe",),
        ("--precision", "fp8"),
    ],
)
def test_wrong_flags_are_refused(flags, capsys):
    with pytest.raises(SystemExit):
        parsed(*flags)
    assert "error" in capsys.readouterr().err


def test_contradicting_devices_are_refused():
    with pytest.raises(preheat.DeviceError):
        preheat.RuntimeOptions(parsed("--tpu-enable", "--device", "xla-cpu")).runtime()


def test_every_flag_of_the_command_line_that_concerns_a_program_is_there():
    import re
    from pathlib import Path

    source = Path(__file__).parents[2] / "src" / "cli" / "runtime_args.rs"
    if not source.exists():
        pytest.skip("the sources of the command line are not here")
    struct = source.read_text().split("pub struct RuntimeArgs {")[1].split("\n}\n")[0]
    fields = set(re.findall(r"^    pub (\w+):", struct, re.M))
    ours = set(vars(parsed()))
    # Flags for output files and addresses belong to the command alone, and so does the choice of a
    # libtpu, which compiles ahead of time. Python compiles in its own process, and has no remotes
    # yet. The older name is an alias here.
    own = {"trace", "metrics_file", "metrics_listen", "libtpu"}
    own |= {"cache_remote", "cache_remote_required", "compile_in_process"}
    assert fields - ours == {"torch", "tpu_warmup_enable"} | own


def test_the_module_is_reached_by_its_name_without_an_import():
    assert in_a_child("import preheat; print(preheat.tpu.CompilationCacheKey.__name__)").strip() == "Signature"
