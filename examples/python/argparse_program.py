"""A program of your own that takes the flags of preheat, such as --tpu-manual-warmup.

    python examples/python/argparse_program.py --help
    python examples/python/argparse_program.py --program examples/programs/unet_step.mlir
    python examples/python/argparse_program.py --program examples/programs/unet_step.mlir --require-warm
"""

import argparse
import sys

import preheat
from preheat.tpu import create_execution_signature, get_tpu_stats, tpu_context, tpu_manager


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="a StableHLO or HLO file")
    parser.add_argument("--steps", type=int, default=4)
    preheat.add_arguments(parser)
    args = parser.parse_args()
    tpu_manager.configure(args)

    program = preheat.Program.read(args.program)
    key = create_execution_signature("unet", [1, 4, 32, 32], steps=args.steps, dtype="float32")
    if args.tpu_manual_warmup and not tpu_manager.is_cached(key):
        tpu_manager.runtime.warmup(key, program)
    try:
        unet = tpu_manager.runtime.get_or_compile(key, program)
    except preheat.NotWarm as cold:
        print(cold, file=sys.stderr)
        return 3
    inputs = unet.zeros()
    for _ in range(args.steps):
        with tpu_context.step_boundary("diffusion_step") as step:
            outputs = unet.run(inputs, on_device=True)
            step.until(outputs[0])
    seconds = tpu_context.step_times("diffusion_step")
    print(f"{unet.report['source']}, {sum(seconds) / len(seconds):.4f} s a step")
    print(f"{get_tpu_stats()['cached_signatures']} signatures are cached")
    return 0


if __name__ == "__main__":
    sys.exit(main())
