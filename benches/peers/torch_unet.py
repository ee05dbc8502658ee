"""The peer for a denoising step: diffusers' UNet2DConditionModel in eager PyTorch on the CPU, float32.

    torch_unet.py --unet DIR --height 32 --width 32 --threads 2

DIR is the `unet` folder of a model; height and width are of the latents. It loads the weights, prints one JSON line with the versions,
and then waits for lines on standard input: for each `N` it runs N guided steps and prints one JSON line, whose `seconds_per_step` is
the mean of all but the first and whose `first_step_seconds` is that one. A step is what a pipeline does in each: the network on the
latents twice (batch 2, with the attention that diffusers chooses by itself), guidance, and Euler's update.
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
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    unet = diffusers.UNet2DConditionModel.from_pretrained(args.unet, torch_dtype=torch.float32).eval()
    context = torch.randn(2, 77, unet.config.cross_attention_dim)
    latents = torch.randn(1, unet.config.in_channels, args.height, args.width)
    print(json.dumps({"torch": torch.__version__, "diffusers": diffusers.__version__, "threads": torch.get_num_threads()}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            seconds, x = [], latents
            for index in range(int(line)):
                began = time.perf_counter()
                timestep = torch.tensor(999.0 - 50 * index % 1000)
                without, with_prompt = unet(torch.cat([x, x]), timestep, encoder_hidden_states=context).sample.chunk(2)
                x = x - 0.05 * (without + 7.5 * (with_prompt - without))
                seconds.append(time.perf_counter() - began)
            later = seconds[1:] or seconds
            print(json.dumps({"first_step_seconds": seconds[0], "seconds_per_step": sum(later) / len(later)}), flush=True)


if __name__ == "__main__":
    main()
