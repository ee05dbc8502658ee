"""The peer for a denoising step: diffusers' UNet2DConditionModel in eager PyTorch.

    torch_unet.py --unet DIR --height 32 --width 32 [--device cpu] [--dtype float32]

DIR is the `unet` folder of a model; height and width are of the latents. On the CPU it takes as many threads as OMP_NUM_THREADS says.
It loads the weights, prints one JSON line with the versions, and then waits for lines on standard input: for each `N` it runs N guided
steps and prints one JSON line, whose `first_step_seconds` is what the first took, and whose `seconds_per_step` is the mean of the others,
which are queued without waiting for the device in between. A step is what a pipeline does in each: the network on the latents twice
(batch 2, with the attention that diffusers chooses by itself), guidance, and Euler's update.
"""
import argparse
import json
import sys
import time

import diffusers
import torch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unet", required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    args = parser.parse_args()
    device, dtype = torch.device(args.device), getattr(torch, args.dtype)
    # As in preheat: float32 is float32, on a card too.
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    unet = diffusers.UNet2DConditionModel.from_pretrained(args.unet, torch_dtype=dtype).to(device).eval()
    context = torch.randn(2, 77, unet.config.cross_attention_dim).to(device, dtype)
    latents = torch.randn(1, unet.config.in_channels, args.height, args.width).to(device, dtype)
    version = torch.__version__
    # On the CPU as preheat says it, so that the two can be compared.
    kind = f"libtorch {version.split('+')[0]}, {torch.get_num_threads()} threads" if device.type == "cpu" else args.device
    print(json.dumps({"torch": version, "diffusers": diffusers.__version__, "kind": kind, "dtype": args.dtype}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            first, mean = steps(unet, latents, context, int(line))
            print(json.dumps({"first_step_seconds": first, "seconds_per_step": mean}), flush=True)


def steps(unet, latents, context, count):
    """Runs so many steps; how long the first took, and the mean of the others."""
    timesteps = (999.0 - 50 * torch.arange(count) % 1000).to(latents.device)
    wait = getattr(torch, latents.device.type).synchronize
    wait()
    began = time.perf_counter()
    for index, timestep in enumerate(timesteps):
        without, with_prompt = unet(torch.cat([latents] * 2), timestep, encoder_hidden_states=context).sample.chunk(2)
        latents = latents - 0.05 * (without + 7.5 * (with_prompt - without))
        if index == 0:
            wait()
            first = time.perf_counter() - began
    wait()
    others = time.perf_counter() - began - first
    return first, others / (count - 1) if count > 1 else first


if __name__ == "__main__":
    main()
