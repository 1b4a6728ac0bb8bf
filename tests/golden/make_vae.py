#!/usr/bin/env python3
"""Writes tests/golden/vae/small.safetensors: a small AutoencoderKL of diffusers, with random weights.

    PYTHONPATH=... python make_vae.py OUT.safetensors [SEED]     needs torch, diffusers, safetensors

The file holds `weights.NAME` (float16 values, so that half the bytes do), `in.pictures`, `in.z`, and what diffusers
makes of them in float32: `out.moments` [B, 2L, h, w] and `out.decoded`; the metadata the configuration
(`diffit.config`) and, under `names.original`, the original (CompVis) name of each parameter, which diffusers' own
conversion has turned into the parameter's present one.
"""

import json
import sys

import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from safetensors.torch import save_file

CHANNELS, BLOCKS, GROUPS, LATENT = [8, 16, 24], 2, 4, 4


def original_name(name, stages):
    """By hand; proved by check_names."""
    parts = name.split(".")
    if parts[0] in ("quant_conv", "post_quant_conv"):
        return name
    side, rest = parts[0], parts[1:]
    if rest[0] == "mid_block":
        if rest[1] == "resnets":
            return ".".join([side, "mid", f"block_{int(rest[2]) + 1}", *rest[3:]])
        inner = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}[rest[3]]
        return ".".join([side, "mid", "attn_1", inner, rest[-1]])
    if rest[0] in ("down_blocks", "up_blocks"):
        up = rest[0] == "up_blocks"
        stage = str(stages - 1 - int(rest[1]) if up else int(rest[1]))
        here = [side, "up" if up else "down", stage]
        if rest[2] == "resnets":
            inner = ["nin_shortcut" if rest[4] == "conv_shortcut" else rest[4], rest[5]]
            return ".".join([*here, "block", rest[3], *inner])
        return ".".join([*here, "upsample" if up else "downsample", "conv", rest[-1]])
    return ".".join([side, rest[0].replace("conv_norm_out", "norm_out"), rest[1]])


def check_names(weights, names, config):
    original = {}
    for name, value in weights.items():
        convolution = ".attn_1." in names[name] and value.ndim == 2
        original[names[name]] = value[:, :, None, None] if convolution else value
    converted = convert_ldm_vae_checkpoint(original, config)
    assert converted.keys() == weights.keys(), converted.keys() ^ weights.keys()
    assert all(torch.equal(converted[name], weights[name]) for name in weights)


def main():
    out, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    torch.manual_seed(seed)
    vae = AutoencoderKL(in_channels=3, out_channels=3, latent_channels=LATENT, block_out_channels=CHANNELS,
                        layers_per_block=BLOCKS, norm_num_groups=GROUPS,
                        down_block_types=["DownEncoderBlock2D"] * len(CHANNELS),
                        up_block_types=["UpDecoderBlock2D"] * len(CHANNELS)).eval()
    for name, parameter in vae.named_parameters():  # nothing is zero or one: every term counts
        if "norm" in name:
            torch.nn.init.normal_(parameter, float(name.endswith("weight")), 0.3)
        elif name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0, 0.1)
        else:
            torch.nn.init.normal_(parameter, 0, 1.2 / parameter[0].numel() ** 0.5)
        parameter.data = parameter.data.half().float()
    weights = {name: value.detach().contiguous() for name, value in vae.state_dict().items()}
    names = {name: original_name(name, len(CHANNELS)) for name in weights}
    check_names(weights, names, dict(vae.config))

    factor = 2 ** (len(CHANNELS) - 1)
    pictures = torch.rand(2, 3, 5 * factor, 3 * factor) * 2 - 1
    z = torch.randn(2, LATENT, 5, 7)
    with torch.no_grad():
        posterior = vae.encode(pictures).latent_dist
        moments = torch.cat([posterior.mean, posterior.logvar], 1)
        decoded = vae.decode(z).sample
    tensors = {f"weights.{name}": value.half() for name, value in weights.items()}
    tensors |= {"in.pictures": pictures, "in.z": z, "out.moments": moments, "out.decoded": decoded}
    config = {"model": "vae", "in_channels": 3, "latent_channels": LATENT, "channels": CHANNELS, "blocks": BLOCKS,
              "norm_groups": GROUPS, "scale": 0.18215}
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    save_file(tensors, out, metadata={"diffit.config": json.dumps(config), "names.original": json.dumps(names)})
    print(f"{out}: {sum(v.numel() for v in weights.values())} parameters, moments {moments.std():.3f} deviation, "
          f"decoded {decoded.std():.3f}")


if __name__ == "__main__":
    main()
