"""Judges the demo model: makes pictures of the ten digits and has a classifier read them.

    venv/bin/python evaluate.py --preheat ../../target/release/preheat
    venv/bin/python evaluate.py --diffusers

The classifier, a support vector machine on 8x8 pixels, is trained on the half of scikit-learn's
digits that the model was not trained on (digits.py). This script prints the classifier's own
accuracy on the other half, how many pictures it reads as prompted, how far pictures of one prompt
are from each other, and how far each is from the nearest digit that the model was trained on.
Distances are root mean squares over 8x8 pixels of 0..1; the same distances of real digits are
printed beside them. The exit status is 1 if fewer than 90 % are read as prompted, or if a picture
is a copy.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.svm import SVC

import digits

HERE = Path(__file__).resolve().parent
WANTED_ACCURACY = 0.90
COPY_DISTANCE = 0.04  # twice what the VAE changes in a picture that it encodes and decodes
DIFFUSERS_SCHEDULERS = {
    "pndm": ("PNDMScheduler", {}),
    "ddim": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "dpm++_2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
}


def pictures_by_preheat(arguments, folder):
    """Yields (digit, paths) for each call of `preheat run`."""
    for digit, prompt, seeds in calls(arguments):
        command = [
            arguments.preheat, "run", "--json", "--model", arguments.model, "--device", arguments.device,
            "--prompt", prompt, "--seed", seeds[0], "--batch", len(seeds), "--output", folder / f"{digit}-{seeds[0]}.png",
        ]  # fmt: skip
        for flag in ("scheduler", "steps", "cfg_scale", "precision"):
            if getattr(arguments, flag) is not None:
                command += ["--" + flag.replace("_", "-"), getattr(arguments, flag)]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True)
        yield digit, [Path(path) for path in json.loads(done.stdout)["images"]]


def pictures_by_diffusers(arguments, folder):
    """Yields the same with diffusers. preheat draws the same noise as torch, so that the pictures can be compared."""
    import diffusers
    import torch

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        arguments.model, torch_dtype=dtypes[arguments.precision or "fp32"]
    )
    pipeline.set_progress_bar_config(disable=True)
    if arguments.scheduler:
        name, settings = DIFFUSERS_SCHEDULERS[arguments.scheduler]
        pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **settings)
    for digit, prompt, seeds in calls(arguments):
        images = pipeline(
            prompt,
            num_images_per_prompt=len(seeds),
            num_inference_steps=arguments.steps or 20,
            guidance_scale=7.5 if arguments.cfg_scale is None else arguments.cfg_scale,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        ).images
        paths = [folder / f"{digit}-{seed}.png" for seed in seeds]
        for image, path in zip(images, paths):
            image.save(path)
        yield digit, paths


def calls(arguments):
    """(digit, prompt, seeds) of each call. No seed comes twice, and none is used anywhere else in this repository."""
    for digit, word in enumerate(digits.WORDS):
        for start in range(0, arguments.pictures, arguments.batch):
            first = arguments.seed + digit * arguments.pictures + start
            yield digit, arguments.prompt.format(word), list(range(first, first + min(arguments.batch, arguments.pictures - start)))


def read_picture(path):
    """[64, 64] in 0..1, the mean of the colours."""
    image = Image.open(path).convert("RGB")
    if image.size != (digits.PICTURE_PX, digits.PICTURE_PX):
        sys.exit(f"{path} has {image.size[0]}x{image.size[1]} pixels, not {digits.PICTURE_PX}x{digits.PICTURE_PX}")
    return np.asarray(image, dtype=np.float32).mean(axis=2) / 255


def distances(some, others):
    """Root mean square difference of each of `some` ([n, 8, 8]) and each of `others` ([m, 8, 8]): [n, m]."""
    return np.sqrt(((some[:, None] - others[None]) ** 2).mean(axis=(2, 3)))


def among_themselves(small, labels):
    """All distances between two different pictures of one digit."""
    found = []
    for digit in range(10):
        between = distances(small[labels == digit], small[labels == digit])
        found.append(between[np.triu_indices(len(between), 1)])
    return np.concatenate(found)


def write_sheet(path, pictures, labels):
    """One row of pictures for each digit."""
    rows = [np.concatenate(list(pictures[labels == digit]), axis=1) for digit in range(10)]
    Image.fromarray((np.concatenate(rows) * 255).round().astype(np.uint8)).save(path)


def main():
    parser = argparse.ArgumentParser(description="Judges the demo model.")
    maker = parser.add_mutually_exclusive_group(required=True)
    maker.add_argument("--preheat", metavar="BINARY", help="make the pictures with this preheat")
    maker.add_argument("--diffusers", action="store_true", help="make the pictures with diffusers, in Python")
    parser.add_argument("--model", type=Path, default=HERE)
    parser.add_argument("--device", default="xla-cpu", help="the device of preheat; diffusers runs on the CPU")
    parser.add_argument("--prompt", default="the digit {}", help="{} stands for the digit's name")
    parser.add_argument("--seed", type=int, default=910_000, help="the first seed; default: 910000")
    parser.add_argument("--pictures", type=int, default=20, help="for each digit; default: 20")
    parser.add_argument("--batch", type=int, default=5, help="pictures for each call; default: 5")
    parser.add_argument("--scheduler", help="by preheat's name; default: the model's")
    parser.add_argument("--steps", type=int, help="default: preheat's; 20 with --diffusers")
    parser.add_argument("--cfg-scale", type=float, help="default: preheat's; 7.5 with --diffusers")
    parser.add_argument("--precision", help="fp32, bf16 or fp16; default: preheat's; fp32 with --diffusers")
    parser.add_argument("--sheet", type=Path, help="also write all pictures to this one file")
    arguments = parser.parse_args()

    (trained, trained_labels), (unseen, unseen_labels) = digits.halves()
    classifier = SVC(C=10, gamma=0.25).fit(unseen.reshape(len(unseen), -1), unseen_labels)
    own = classifier.score(trained.reshape(len(trained), -1), trained_labels)
    print(f"classifier: trained on {len(unseen)} digits, reads {own:.1%} of the {len(trained)} others")

    started = time.time()
    pictures, labels = [], []
    with tempfile.TemporaryDirectory() as folder:
        make = pictures_by_diffusers if arguments.diffusers else pictures_by_preheat
        for digit, paths in make(arguments, Path(folder)):
            pictures += [read_picture(path) for path in paths]
            labels += [digit] * len(paths)
    pictures, labels = np.stack(pictures), np.array(labels)
    if arguments.sheet:
        write_sheet(arguments.sheet, pictures, labels)
    small = digits.shrink(pictures)
    read = classifier.predict(small.reshape(len(small), -1))
    accuracy = (read == labels).mean()
    print(f"{len(labels)} pictures in {time.time() - started:.0f} s, {accuracy:.1%} read as prompted")
    for digit, word in enumerate(digits.WORDS):
        mine = read[labels == digit]
        wrong = ", ".join(digits.WORDS[other] for other in mine[mine != digit])
        print(f"  {word:6} {(mine == digit).sum():3} of {len(mine)}" + (f", the others read as {wrong}" if wrong else ""))

    between, real_between = among_themselves(small, labels), among_themselves(unseen, unseen_labels)
    nearest, real_nearest = distances(small, trained).min(axis=1), distances(unseen, trained).min(axis=1)
    copies = (nearest < COPY_DISTANCE).sum() + (between < COPY_DISTANCE).sum()
    print("distance                                pictures       real digits of the other half")
    for name, ours, real in [
        ("of two of one prompt, mean", between.mean(), real_between.mean()),
        ("of two of one prompt, smallest", between.min(), real_between.min()),
        ("to the nearest trained digit, mean", nearest.mean(), real_nearest.mean()),
        ("to the nearest trained digit, smallest", nearest.min(), real_nearest.min()),
    ]:
        print(f"  {name:38}{ours:8.3f}{real:20.3f}")
    print(f"copies, which is a distance below {COPY_DISTANCE}: {copies}")
    sys.exit(0 if accuracy >= WANTED_ACCURACY and copies == 0 else 1)


if __name__ == "__main__":
    main()
