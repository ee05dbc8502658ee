"""A picture from a model folder, as a program that was written for diffusers makes it.

    python examples/python/text_to_image.py examples/demo-model "the digit seven" seven.png
"""

import sys

from preheat import DiffusionPipeline  # the import that changes


def main() -> None:
    model, prompt, file = sys.argv[1:4]
    pipeline = DiffusionPipeline.from_pretrained(model)
    output = pipeline(prompt, num_inference_steps=20, guidance_scale=7.5, seed=7)
    output.images[0].save(file)
    for stage in output.reports[0]["stages"]:
        seconds = stage["compile_seconds"] + stage["load_seconds"]
        print(f"{stage['stage']}: {stage['source']}, {seconds:.2f} s")


if __name__ == "__main__":
    main()
