"""How long does a denoising step take in eager PyTorch, with diffusers' UNet2DConditionModel?

    torch_unet.py --unet DIR --height 32 --width 32 [--device cpu] [--dtype float32]

DIR is the `unet` folder of a model; height and width are those of the latents. On the CPU,
OMP_NUM_THREADS sets the number of threads. The script loads the weights, prints one JSON line with
the versions, and then reads standard input. For each line with a number N it runs N guided steps
and prints one JSON line. `first_step_seconds` is the time of the first step. `seconds_per_step` is
the mean time of the others, which are queued without waiting for the device in between. A step
does what a step of a pipeline does: the network on the latents twice (batch 2, with the attention
that diffusers chooses by default), guidance, and Euler's update.
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
    # As in preheat, float32 keeps its full precision on a GPU, too.
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    unet = diffusers.UNet2DConditionModel.from_pretrained(args.unet, torch_dtype=dtype).to(device).eval()
    context = torch.randn(2, 77, unet.config.cross_attention_dim).to(device, dtype)
    latents = torch.randn(1, unet.config.in_channels, args.height, args.width).to(device, dtype)
    version = torch.__version__
    # On the CPU, this is the text that preheat prints, so that the two can be compared.
    kind = f"libtorch {version.split('+')[0]}, {torch.get_num_threads()} threads" if device.type == "cpu" else args.device
    print(json.dumps({"torch": version, "diffusers": diffusers.__version__, "kind": kind, "dtype": args.dtype}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            first, mean = steps(unet, latents, context, int(line))
            print(json.dumps({"first_step_seconds": first, "seconds_per_step": mean}), flush=True)


def steps(unet, latents, context, count):
    """Runs `count` steps. Returns the seconds of the first step, and the mean of the others."""
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
