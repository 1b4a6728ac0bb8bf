#!/usr/bin/env python3
"""Golden states of DDPM++ with its own attention and with TMSA, by a plain statement in PyTorch.

    python tests/golden/make_ddpmpp.py [tests/golden/ddpmpp]     needs torch, numpy, safetensors

Written from Song et al. 2021 and EDM's description of the network, channels first and with torch's own modules: nothing is
shared with the program but the names of the parameters. Each file holds `weights.*`, `in.x`, `in.c_noise`, `in.y`,
`out.forward` and `grad.*` of the mean square of the output; the configuration is metadata `diffit.config`.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

BASE = dict(resolution=8, channels=[8, 16], depth=[1, 1], head_dim=8, classes=10, in_channels=3,
            attention_sides=[8], encoder="ddpmpp", decoder="ddpmpp")


class Norm(nn.GroupNorm):
    def __init__(self, width):
        super().__init__(min(32, width // 4), width, eps=1e-6)


class OwnAttention(nn.Module):
    def __init__(self, width, time_width, heads, side):
        super().__init__()
        self.norm, self.qkv, self.proj, self.heads = Norm(width), nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x, time):
        b, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(b, h * w, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = ((q @ k.transpose(-1, -2)) / math.sqrt(c // self.heads)).softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(b, h * w, c)).transpose(1, 2).reshape(b, c, h, w)


class Tmsa(nn.Module):
    def __init__(self, width, time_width, heads, side):
        super().__init__()
        self.heads, offsets = heads, 2 * side - 1
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets ** 2, heads))
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        y, x = y.flatten(), x.flatten()
        self.register_buffer("relative_position_index", (y[:, None] - y[None] + side - 1) * offsets + (x[:, None] - x[None] + side - 1))
        self.qkv_temb, self.qkv = nn.Linear(time_width, 3 * width), nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x, time):
        b, c, h, w = x.shape
        tokens = self.qkv(x.flatten(2).transpose(1, 2)) + self.qkv_temb(time)[:, None]
        q, k, v = tokens.reshape(b, h * w, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        mixed = (q @ k.transpose(-1, -2) / math.sqrt(c // self.heads) + bias).softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(b, h * w, c)).transpose(1, 2).reshape(b, c, h, w)


class TmsaAttention(nn.Module):
    def __init__(self, width, *rest):
        super().__init__()
        self.norm, self.tmsa = Norm(width), Tmsa(width, *rest)

    def forward(self, x, time):
        return self.tmsa(self.norm(x), time)


class Block(nn.Module):
    def __init__(self, inputs, outputs, time_width, resample=None, attention=None):
        super().__init__()
        self.resample = resample
        self.norm0, self.conv0 = Norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.temb = nn.Linear(time_width, outputs)
        self.norm1, self.conv1 = Norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs or resample:
            self.skip = nn.Conv2d(inputs, outputs, 1)
        if attention:
            self.attention = attention

    def resampled(self, x):
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample == "up" else x

    def forward(self, x, time):
        h = self.conv0(self.resampled(F.silu(self.norm0(x))))
        h = self.conv1(F.silu(self.norm1(h + self.temb(F.silu(time))[:, :, None, None])))
        x = ((self.skip(self.resampled(x)) if hasattr(self, "skip") else x) + h) / math.sqrt(2)
        return (x + self.attention(x, time)) / math.sqrt(2) if hasattr(self, "attention") else x


class DdpmPlusPlus(nn.Module):
    def __init__(self, resolution, channels, depth, head_dim, classes, in_channels, attention_sides, time, **_):
        super().__init__()
        time_width, last = 4 * channels[0], len(channels) - 1
        kind = TmsaAttention if time == "tmsa" else OwnAttention
        self.tokenizer = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.t_embedder, self.y_embedder = nn.Module(), nn.Module()
        self.t_embedder.mlp = nn.Sequential(nn.Linear(256, time_width), nn.SiLU(), nn.Linear(time_width, time_width))
        self.y_embedder.embedding_table = nn.Embedding(classes + 1, time_width)
        attention = lambda i: kind(channels[i], time_width, channels[i] // head_dim, resolution >> i)
        attends = lambda i: resolution >> i in attention_sides
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList([nn.Module() for _ in channels])
        width, skips = channels[0], [channels[0]]
        for i, out in enumerate(channels):
            stage = nn.Module()
            if i > 0:
                stage.down = Block(width, width, time_width, "down")
                skips.append(width)
            stage.blocks = nn.ModuleList()
            for _ in range(depth[i]):
                stage.blocks.append(Block(width, out, time_width, None, attention(i) if attends(i) else None))
                width = out
                skips.append(width)
            self.encoder.append(stage)
        self.middle = nn.ModuleList([Block(width, width, time_width, None, attention(last)), Block(width, width, time_width)])
        for i in reversed(range(len(channels))):
            stage = self.decoder[i]
            if i < last:
                stage.up = Block(width, width, time_width, "up")
            stage.blocks = nn.ModuleList()
            for k in range(depth[i] + 1):
                there = attention(i) if attends(i) and k == depth[i] else None
                stage.blocks.append(Block(width + skips.pop(), channels[i], time_width, None, there))
                width = channels[i]
        self.head = nn.Module()
        self.head.norm, self.head.conv = Norm(channels[0]), nn.Conv2d(channels[0], in_channels, 3, padding=1)

    def forward(self, x, c_noise, y):
        angle = c_noise[:, None] * torch.exp(-math.log(10000) / 128 * torch.arange(128))
        time = self.t_embedder.mlp(torch.cat([angle.cos(), angle.sin()], 1)) + self.y_embedder.embedding_table(y)
        x = self.tokenizer(x)
        skips = [x]
        for stage in self.encoder:
            for block in ([stage.down] if hasattr(stage, "down") else []) + list(stage.blocks):
                x = block(x, time)
                skips.append(x)
        for block in self.middle:
            x = block(x, time)
        for stage in reversed(self.decoder):
            if hasattr(stage, "up"):
                x = stage.up(x, time)
            for block in stage.blocks:
                x = block(torch.cat([x, skips.pop()], 1), time)
        assert not skips
        return self.head.conv(F.silu(self.head.norm(x)))


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "ddpmpp")
    out.mkdir(parents=True, exist_ok=True)
    for name, time in (("own", "add"), ("tmsa", "tmsa")):
        config = BASE | ({} if time == "tmsa" else {"time": time})
        generator = torch.Generator().manual_seed(5)
        model = DdpmPlusPlus(**BASE, time=time)
        with torch.no_grad():
            for parameter_name, p in model.named_parameters():
                scale = 0.05 if p.ndim < 2 or "table" in parameter_name else p[0].numel() ** -0.5
                one = 1.0 if "norm" in parameter_name and parameter_name.endswith("weight") else 0.0
                p.copy_((torch.randn(p.shape, generator=generator) * scale + one).half().float())
        inputs = {"x": torch.randn(3, 3, 8, 8, generator=generator), "c_noise": torch.tensor([3.0, 250.0, 998.0]),
                  "y": torch.tensor([0, 9, 10])}
        forward = model(**inputs)
        forward.square().mean().backward()
        tensors = {f"weights.{k}": v for k, v in model.state_dict().items()} | {f"in.{k}": v for k, v in inputs.items()}
        tensors |= {"out.forward": forward} | {f"grad.{k}": p.grad for k, p in model.named_parameters()}
        save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, out / f"{name}.safetensors",
                  {"diffit.config": json.dumps({"model": "image", **config})})


if __name__ == "__main__":
    main()
