"""How does a program of your own take the flags of preheat's command line?

    parser = argparse.ArgumentParser()
    preheat.add_arguments(parser)
    options = preheat.RuntimeOptions(parser.parse_args())
    runtime = options.runtime()

The flags have the same names, defaults and meaning as on the command line of `preheat`; `preheat
run --help` describes them at length. The `--tpu-*` flags act on every XLA device.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from preheat import _native

_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def size_in_bytes(text: str) -> int:
    """The bytes of a size such as 500MB or 20GiB."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = _UNITS.get(text[len(digits) :].strip().lower())
    try:
        number = float(digits)
    except ValueError:
        number = -1.0
    if unit is None or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 500MB or 20GiB")
    return int(number * unit)


def _truth(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _multiple(text: str) -> int:
    number = _natural(text)
    if number == 0 or number % 8 != 0:
        raise argparse.ArgumentTypeError(f"{number} is not a multiple of 8, such as 64")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Adds preheat's flags to an argparse parser, in a group of their own."""
    group = parser.add_argument_group("preheat")
    flag, environment = group.add_argument, os.environ
    flag(
        "--device",
        metavar="DEVICE",
        default=environment.get("PREHEAT_DEVICE") or "auto",
        help="auto, tpu, cuda, cuda:N, mps, cpu, xla-cpu or xla-cuda",
    )
    flag(
        "--strict-device",
        action="store_true",
        help="fail if the device is unavailable, instead of warning and using the CPU",
    )
    flag(
        "--cache-dir",
        metavar="DIR",
        type=Path,
        default=environment.get("PREHEAT_CACHE_DIR") or None,
        help="the folder of the cache",
    )
    flag(
        "--cache-max-size",
        metavar="SIZE",
        type=size_in_bytes,
        default=10 << 30,
        help="the most disk space that the cache may take [default: 10GiB]",
    )
    flag("--cache-read-only", action="store_true", help="read the cache, but never write to it")
    flag(
        "--cache-shared",
        action="store_true",
        help="share the cache with the group of its folder, and run the group's machine code",
    )
    flag(
        "--cache-fallback",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="another cache, which is only read; may be given several times",
    )
    tpu = group.add_mutually_exclusive_group()
    tpu.add_argument("--tpu-enable", action="store_true", help="use a TPU; fail if there is none")
    tpu.add_argument("--tpu-disable", action="store_true", help="never use a TPU")
    flag(
        "--compile-effort",
        choices=("fast", "balanced", "full"),
        default=environment.get("PREHEAT_COMPILE_EFFORT") or "full",
        help="how much work the compiler does",
    )
    flag(
        "--tpu-manual-warmup",
        "--tpu-warmup-enable",
        action="store_true",
        help="warm only by hand, and say so when something has to be compiled",
    )
    flag(
        "--tpu-warmup-steps",
        metavar="N",
        type=_natural,
        default=2,
        help="how many times a fresh program is run on zeros before the real run [default: 2]",
    )
    flag("--no-tpu-warmup", action="store_true", help="turn automatic warmup off")
    _add_switch(group, "--tpu-compilation-cache", "use the cache")
    _add_switch(group, "--tpu-shape-padding", "round sizes up to the padding multiple")
    flag(
        "--tpu-shape-padding-multiple",
        metavar="PX",
        type=_multiple,
        default=64,
        help="the padding multiple in pixels, a multiple of 8 [default: 64]",
    )
    for name in (
        "--precision",
        "--text-encoder-precision",
        "--denoiser-precision",
        "--vae-precision",
    ):
        flag(
            name,
            metavar="DTYPE",
            choices=("auto", "bf16", "fp16", "fp32"),
            default="auto" if name == "--precision" else None,
            help="auto, bf16, fp16 or fp32",
        )
    _add_switch(group, "--tpu-autocast-bf16", "let --precision auto choose bf16")
    flag("--tpu-debug-metrics", action="store_true", help="measure times, for Runtime.metrics()")
    flag(
        "--tpu-sync-steps",
        metavar="N",
        type=_natural,
        default=0,
        help="wait for the device after every N steps [default: 0, only when a result is read]",
    )
    flag("--require-warm", action="store_true", help="raise NotWarm instead of compiling")
    flag(
        "--snap-to-warm",
        metavar="PERCENT",
        type=float,
        help="serve a cold size by a larger warm one, if at most this part of it is wasted",
    )
    return group  # fmt: skip


def _add_switch(group: argparse._ArgumentGroup, name: str, words: str) -> None:
    group.add_argument(
        name, metavar="BOOL", type=_truth, nargs="?", const=True, default=True,
        help=f"{words} [default: true]",
    )  # fmt: skip


class RuntimeOptions:
    """The flags that a program was given, as settings of a runtime and of a pipeline."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def runtime_settings(self) -> dict[str, Any]:
        """The keyword arguments of `Runtime`."""
        args = self.args
        return {
            "device": args.device,
            "strict_device": args.strict_device,
            "tpu": True if args.tpu_enable else False if args.tpu_disable else None,
            "cache_dir": args.cache_dir,
            "cache_fallback": args.cache_fallback,
            "cache_max_bytes": args.cache_max_size,
            "cache_read_only": args.cache_read_only,
            "cache_shared": args.cache_shared,
            "use_cache": args.tpu_compilation_cache,
            "require_warm": args.require_warm,
            "manual_warmup": args.tpu_manual_warmup,
            "compile_effort": args.compile_effort,
            "sync_steps": args.tpu_sync_steps,
            "metrics": args.tpu_debug_metrics,
        }

    def pipeline_settings(self) -> dict[str, Any]:
        """The keyword arguments of `DiffusionPipeline` that are not settings of the runtime."""
        args = self.args
        return {
            "padding_multiple_px": args.tpu_shape_padding_multiple if args.tpu_shape_padding else 8,
            "warmup_steps": 0 if args.no_tpu_warmup else args.tpu_warmup_steps,
            "snap_to_warm": args.snap_to_warm,
            "precision": args.precision,
            "text_encoder_precision": args.text_encoder_precision,
            "denoiser_precision": args.denoiser_precision,
            "vae_precision": args.vae_precision,
            "autocast_bf16": args.tpu_autocast_bf16,
        }

    def runtime(self, **changes: Any) -> Any:
        """A `Runtime` set up as the flags say, for programs."""
        return _native.Runtime(**{**self.runtime_settings(), **changes})

    def pipeline(self, folder: Any, **changes: Any) -> Any:
        """A `DiffusionPipeline` set up as the flags say."""
        from preheat._pipeline import DiffusionPipeline

        settings = {**self.runtime_settings(), **self.pipeline_settings(), **changes}
        return DiffusionPipeline.from_pretrained(folder, **settings)
