"""Calls whose types a type checker has to accept. mypy checks this file; it is never run."""

import preheat


def warm(runtime: preheat.Runtime, program: preheat.Program) -> str:
    signature = preheat.create_execution_signature("unet", [1, 4, 32, 32], dtype="float32")
    if runtime.lookup(signature, program)["verdict"] != "hit":
        executable, report = runtime.warmup(signature, program, progress=False)
        return f"{report['compile_seconds']:.1f} s for {executable.graph_key}"
    return runtime.get_or_compile(signature, program).report["source"]


def pictures(folder: str) -> list[int]:
    pipeline = preheat.DiffusionPipeline.from_pretrained(folder, torch_dtype="float16")
    output: preheat.PipelineOutput = pipeline("the digit seven", seed=7)
    return output.seeds
