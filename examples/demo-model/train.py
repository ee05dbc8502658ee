"""Trains the demo model from scratch and writes it beside this file, in diffusers' layout.

It was run by hand, once; nothing in preheat's build or tests runs it:

    python -m venv venv && venv/bin/pip install -r requirements.txt
    OMP_NUM_THREADS=1 venv/bin/python train.py

It downloads nothing: the digits are part of scikit-learn. One thread of a CPU is enough; README.md
says how long it took. Seeds are fixed, so that one machine trains the same weights again; another
CPU rounds differently, and trains other weights of the same quality.

Three parts are trained one after the other: the VAE, on slightly distorted digits; the text
encoder, to tell which digit a caption names; and the UNet, on the latents of the distorted digits
and on the encoded captions, while the VAE and the text encoder do not change. Only half of the
digits is used (digits.py), so that evaluate.py can judge with a classifier trained on the other
half.
"""

import argparse
import copy
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import digits

HERE = Path(__file__).resolve().parent
SEED = 7

TEMPLATES = [
    "the digit {}",
    "the number {}",
    "the figure {}",
    "a {}",
    "{}",
    "digit {}",
    "number {}",
    "a handwritten {}",
    "the handwritten digit {}",
    "a handwritten digit {}",
    "a picture of the digit {}",
    "a picture of a {}",
    "a picture of the number {}",
    "an image of the digit {}",
    "a photo of a {}",
    "a drawing of the digit {}",
    "white on black, the digit {}",
]

VAE_STEPS, VAE_BATCH, VAE_LEARNING_RATE = 1400, 32, 2e-3
KL_WEIGHT = 2e-4
TEXT_STEPS, TEXT_BATCH, TEXT_LEARNING_RATE = 400, 24, 2e-3
UNET_STEPS, UNET_BATCH, UNET_LEARNING_RATE = 2000, 32, 1e-3
EMA_DECAY = 0.995
SAVED_EVERY_STEPS = 200
EMPTY_PROMPT_SHARE = 0.1
DISTORTIONS_PER_DIGIT = 6


# Tokenizer


def byte_letters():
    """The letter that CLIP's byte-level BPE writes for each byte, in CLIP's order (`bytes_to_unicode` of OpenAI's GPT-2)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + n) for n in range(len(others))]


def learn_merges(words):
    """The merges, in order, after which each of `words` is one token. The usual BPE: the most frequent pair is joined first."""
    split = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges = []
    while True:
        counts = {}
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]):
                counts[pair] = counts.get(pair, 0) + words[word]
        if not counts:
            return merges
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        for word, parts in split.items():
            joined = []
            for part in parts:
                if joined and (joined[-1], part) == best:
                    joined[-1] += part
                else:
                    joined.append(part)
            split[word] = joined


def write_tokenizer(folder):
    """vocab.json, merges.txt and the two files of settings, as OpenAI's CLIP has them, with a vocabulary of our own."""
    words = {}
    for template in TEMPLATES:
        for word in digits.WORDS:
            for token in template.format(word).replace(",", "").split():
                words[token] = words.get(token, 0) + 1
    merges = learn_merges(words)
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(tokens)) == len(tokens)

    def special(content):
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    start, end = special("<|startoftext|>"), special("<|endoftext|>")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "vocab.json", {token: index for index, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    write_json(
        folder / "special_tokens_map.json",
        {"bos_token": start, "eos_token": end, "pad_token": "<|endoftext|>", "unk_token": end},
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "bos_token": {"__type": "AddedToken", **start},
            "do_lower_case": True,
            "eos_token": {"__type": "AddedToken", **end},
            "errors": "replace",
            "model_max_length": 77,
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "CLIPTokenizer",
            "unk_token": {"__type": "AddedToken", **end},
        },
    )


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# Pictures


def distort(pictures, generator):
    """Turns, stretches, slants and moves each picture a little. Pictures are [n, 1, 64, 64] in 0..1, and so are the results."""
    count = len(pictures)

    def around(middle, spread):
        return middle + spread * (2 * torch.rand(count, generator=generator) - 1)

    angle, slant = around(0, math.radians(7)), around(0, 0.08)
    width, height = around(1.0, 0.07), around(1.02, 0.05)
    rows = [
        torch.stack([width * torch.cos(angle), slant - torch.sin(angle), around(0, 0.06)], 1),
        torch.stack([torch.sin(angle), height * torch.cos(angle), around(0, 0.04)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="zeros", align_corners=False)


def as_rgb(pictures):
    """[n, 1, 64, 64] in 0..1 to what the VAE takes: [n, 3, 64, 64] in -1..1."""
    return (2 * pictures - 1).expand(-1, 3, -1, -1)


# Training


def decay(step, steps, learning_rate):
    """Rises for 100 steps, then falls to a hundredth along a cosine."""
    along = step / steps
    return learning_rate * min(1, (step + 1) / 100) * (0.01 + 0.99 * (1 + math.cos(math.pi * along)) / 2)


def train_vae(pictures, steps):
    """Trains an AutoencoderKL. `encode_all` sets its `scaling_factor`, after which latents have a standard deviation of 1."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[16, 16, 32, 32],
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=digits.PICTURE_PX,
        force_upcast=False,
    )
    optimizer = torch.optim.AdamW(vae.parameters(), lr=VAE_LEARNING_RATE, weight_decay=1e-4)
    started = time.time()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = decay(step, steps, VAE_LEARNING_RATE)
        chosen = torch.randint(len(pictures), (VAE_BATCH,), generator=generator)
        batch = as_rgb(distort(pictures[chosen], generator))
        posterior = vae.encode(batch).latent_dist
        restored = vae.decode(posterior.sample(generator)).sample
        error = F.mse_loss(restored, batch)
        kl = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
        optimizer.zero_grad()
        (error + KL_WEIGHT * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"vae {step:5d} error {error.item():.5f} kl {kl.item():.3f} {time.time() - started:.0f} s", flush=True)
    return vae.eval()


@torch.no_grad()
def encode_all(vae, pictures, generator):
    """The latents' means and standard deviations of `DISTORTIONS_PER_DIGIT` distortions of each digit: two of [n, m, 4, 8, 8]."""
    means, deviations = [], []
    for picture in pictures:
        batch = picture[None].expand(DISTORTIONS_PER_DIGIT, -1, -1, -1)
        posterior = vae.encode(as_rgb(distort(batch, generator))).latent_dist
        means.append(posterior.mean)
        deviations.append(posterior.std)
    means, deviations = torch.stack(means), torch.stack(deviations)
    spread = (means.var() + deviations.square().mean()).sqrt().item()
    vae.register_to_config(scaling_factor=round(1 / spread, 5))
    print(
        f"latents: mean of each channel {means.mean((0, 1, 3, 4)).tolist()}, standard deviation {means.std((0, 1, 3, 4)).tolist()}, "
        f"noise {deviations.mean((0, 1, 3, 4)).tolist()}, scaling_factor {vae.config.scaling_factor}"
    )
    return means, deviations


def all_captions():
    """(caption, what it names) of every template with every digit's word and figure; the last is the empty prompt, which names 10."""
    named = [
        (template.format(name), digit)
        for template in TEMPLATES
        for digit, word in enumerate(digits.WORDS)
        for name in (word, word, str(digit))
    ]
    return [*named, ("", len(digits.WORDS))]


def tokenize(tokenizer, captions):
    return tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids


def train_text_encoder(tokenizer, steps):
    """Trains a CLIPTextModel: every token from the digit's name to the end, padding included, learns to say which digit is named.

    This replaces CLIP's training on texts and their pictures. Many captions have random tokens before or behind them, so that words
    which the model does not know do no harm.
    """
    torch.manual_seed(SEED + 3)
    dice = random.Random(SEED + 3)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            projection_dim=64,
            max_position_embeddings=77,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    head = torch.nn.Linear(64, len(digits.WORDS) + 1)
    optimizer = torch.optim.AdamW([*text_encoder.parameters(), *head.parameters()], lr=TEXT_LEARNING_RATE)
    captions = [(tokenizer(caption).input_ids[1:-1], digit) for caption, digit in all_captions()]
    names = {tokens[-1] for tokens, _ in captions[:-1]}
    fillers = [token for token in range(len(tokenizer) - 2) if token not in names]
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    started = time.time()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = decay(step, steps, TEXT_LEARNING_RATE)
        rows, told = [], []
        for tokens, digit in [*dice.choices(captions, k=TEXT_BATCH - 2), captions[-1], captions[-1]]:
            before, behind = [dice.choices(fillers, k=dice.randint(0, 8) * dice.randint(0, 1)) for _ in range(2)]
            row = [start, *before, *tokens, *behind, end]
            known_from = len(before) + len(tokens)
            rows.append(row + [end] * (77 - len(row)))
            told.append([-100] * known_from + [digit] * (77 - known_from))
        logits = head(text_encoder(torch.tensor(rows)).last_hidden_state)
        loss = F.cross_entropy(logits.flatten(0, 1), torch.tensor(told).flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(text_encoder.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"text {step:5d} loss {loss.item():.4f} {time.time() - started:.0f} s", flush=True)
    return text_encoder.eval()


def noise_schedule():
    """The noise schedule of Stable Diffusion 1.5."""
    return {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
    }


def train_unet(text_encoder, tokenizer, means, deviations, labels, scaling_factor, steps, save):
    """A UNet that predicts the noise in latents.

    Every `SAVED_EVERY_STEPS` steps, `save` gets the moving average of its weights.
    """
    torch.manual_seed(SEED + 1)
    generator = torch.Generator().manual_seed(SEED + 1)
    captions = all_captions()
    with torch.no_grad():
        texts = text_encoder(tokenize(tokenizer, [caption for caption, _ in captions])).last_hidden_state
    texts_of = [[index for index, (_, named) in enumerate(captions) if named == digit] for digit in range(10)]
    texts_of = torch.tensor(texts_of)  # [10, captions of one digit]
    unet = UNet2DConditionModel(
        sample_size=digits.PICTURE_PX // 8,
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
        block_out_channels=[64, 80],
        layers_per_block=1,
        cross_attention_dim=64,
        attention_head_dim=2,  # diffusers reads this as the number of heads
        norm_num_groups=16,
    )
    print(f"unet {count(unet)} parameters, text encoder {count(text_encoder)}")
    average = torch.optim.swa_utils.AveragedModel(
        unet, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY)
    )
    optimizer = torch.optim.AdamW(unet.parameters(), lr=UNET_LEARNING_RATE, weight_decay=1e-3)
    schedule = DDPMScheduler(**noise_schedule())
    started, recent = time.time(), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = decay(step, steps, UNET_LEARNING_RATE)

        chosen = torch.randint(len(means), (UNET_BATCH,), generator=generator)
        variant = torch.randint(DISTORTIONS_PER_DIGIT, (UNET_BATCH,), generator=generator)
        mean, deviation = means[chosen, variant], deviations[chosen, variant]
        latents = scaling_factor * (mean + deviation * torch.randn(mean.shape, generator=generator))
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = torch.randint(1000, (UNET_BATCH,), generator=generator)

        wording = torch.randint(texts_of.shape[1], (UNET_BATCH,), generator=generator)
        caption = texts_of[labels[chosen], wording]
        caption[torch.rand(UNET_BATCH, generator=generator) < EMPTY_PROMPT_SHARE] = len(captions) - 1

        noisy = schedule.add_noise(latents, noise, timesteps)
        loss = F.mse_loss(unet(noisy, timesteps, texts[caption]).sample, noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(unet)
        recent.append(loss.item())
        if step % 100 == 99 or step == steps - 1:
            print(f"unet {step + 1:5d} loss {np.mean(recent[-100:]):.4f} {time.time() - started:.0f} s", flush=True)
        if (step + 1) % SAVED_EVERY_STEPS == 0 or step == steps - 1:
            save(copy.deepcopy(average.module).eval())


# Writing


def write_pipeline(folder, vae, text_encoder, tokenizer, unet):
    """The folder as diffusers saves it in float16, with the text encoder and tokenizer as published models have them."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        # As Stable Diffusion 1.5 has it.
        scheduler=PNDMScheduler(**noise_schedule(), skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)

    # transformers 5 leaves `text_model.` out of the names, and writes the tokenizer as one
    # tokenizer.json. It also reads the older form, which is the only one that other programs read.
    weights = folder / "text_encoder" / "model.safetensors"
    tensors = {"text_model." + name.removeprefix("text_model."): tensor for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    (folder / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    write_tokenizer(folder / "tokenizer")
    config = json.loads((folder / "vae" / "config.json").read_text())
    config.pop("_name_or_path", None)  # with --vae
    write_json(folder / "vae" / "config.json", config)
    for written in folder.rglob("*.safetensors"):
        written.chmod(0o644)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def main():
    parser = argparse.ArgumentParser(description="Trains the demo model.")
    parser.add_argument("--output", type=Path, default=HERE, help="where to write the model; default: beside this file")
    parser.add_argument("--vae", type=Path, help="take the VAE from this folder, in place of training it")
    parser.add_argument("--vae-steps", type=int, default=VAE_STEPS)
    parser.add_argument("--unet-steps", type=int, default=UNET_STEPS)
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    started = time.time()

    (seen, labels), _ = digits.halves()
    pictures = torch.from_numpy(digits.enlarge(seen))[:, None]
    labels = torch.from_numpy(labels).long()

    write_tokenizer(arguments.output / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(arguments.output / "tokenizer")
    if arguments.vae:
        vae = AutoencoderKL.from_pretrained(arguments.vae, torch_dtype=torch.float32).eval()
    else:
        vae = train_vae(pictures, arguments.vae_steps)
        vae.save_pretrained(arguments.output / "vae")  # so that --vae can take it if the UNet is trained again
    means, deviations = encode_all(vae, pictures, torch.Generator().manual_seed(SEED + 2))
    text_encoder = train_text_encoder(tokenizer, TEXT_STEPS)

    def save(unet):
        write_pipeline(arguments.output, copy.deepcopy(vae), copy.deepcopy(text_encoder), tokenizer, unet)

    train_unet(
        text_encoder, tokenizer, means, deviations, labels, vae.config.scaling_factor, arguments.unet_steps, save
    )
    print(f"trained in {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
