"""The blocks of DiffiT in plain torch, named as in the released code (DiffiT eq. 3 to 10)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYER_NORM_EPS = 1e-6  # of the released code


def timestep_features(t: Tensor, dim: int = 256, period: float = 10000.0) -> Tensor:
    """Sinusoidal features of a timestep or of c_noise: [B] -> [B, dim] float32 (float64 for float64), cosines, then
    sines. The frequencies are float32, as in the released code."""
    half = dim // 2
    frequency = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * (-math.log(period) / half))
    angle = t[:, None].to(torch.promote_types(t.dtype, torch.float32)) * frequency
    return torch.cat([angle.cos(), angle.sin()], -1)


def relative_position_index(window: int) -> Tensor:
    """[N, N] int64 with N = window^2: the row of the bias table for query i and key j."""
    side = torch.arange(window)
    y, x = torch.meshgrid(side, side, indexing="ij")
    place = torch.stack([y.reshape(-1), x.reshape(-1)])
    offset = place[:, :, None] - place[:, None, :] + (window - 1)
    return offset[0] * (2 * window - 1) + offset[1]


class TimeEmbedder(nn.Module):
    """Linear, SiLU, Linear on the features of t: [B] -> [B, width]."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(timestep_features(t).to(self.mlp[0].weight.dtype))


class LabelEmbedder(nn.Module):
    """[B] int64 in 0..classes -> [B, width]; the last row of the table is the null label."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, y: Tensor) -> Tensor:
        return self.embedding_table(y)


class TMSA(nn.Module):
    """Time-dependent multihead self-attention (DiffiT eq. 3 to 6): the time token is projected once per sample and
    added to q, k and v of every token. x [B * windows, N, C], time [B, T] -> like x."""

    def __init__(self, width: int, time_width: int, heads: int, window: int):
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv_temb = nn.Linear(time_width, 3 * width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def bias(self) -> Tensor:
        """The relative position bias, [heads, N, N]."""
        n = self.window * self.window
        rows = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        return rows.view(n, n, self.heads).permute(2, 0, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        rows, n, width = x.shape
        d = width // self.heads
        qkv = self.qkv(x) + _per_window(self.qkv_temb(time), rows).unsqueeze(1)
        q, k, v = qkv.reshape(-1, n, 3, self.heads, d).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * d**-0.5) @ k.transpose(-2, -1) + self.bias()
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, n, width))


def _per_window(time: Tensor, rows: int) -> Tensor:
    """[B, C] -> [rows, C]: the row of its sample for each window; the windows of a sample follow each other."""
    if isinstance(rows, int) and isinstance(time.shape[0], int) and rows == time.shape[0]:
        return time
    windows = rows // time.shape[0]
    return time.unsqueeze(1).expand(-1, windows, -1).reshape(rows, time.shape[-1])


class Mlp(nn.Module):
    """fc2(gelu(fc1(x))) with the tanh approximation of GELU."""

    def __init__(self, width: int, ratio: float):
        super().__init__()
        self.fc1 = nn.Linear(width, int(width * ratio))
        self.fc2 = nn.Linear(int(width * ratio), width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """x += TMSA(LN(x), time); x += MLP(LN(x)) (DiffiT eq. 7 and 8); LayerNorm without affine parameters."""

    def __init__(self, width: int, time_width: int, heads: int, window: int, mlp_ratio: float):
        super().__init__()
        self.width = width
        self.attn, self.mlp = TMSA(width, time_width, heads, window), Mlp(width, mlp_ratio)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        x = x + self.attn(F.layer_norm(x, (self.width,), eps=LAYER_NORM_EPS), time)
        return x + self.mlp(F.layer_norm(x, (self.width,), eps=LAYER_NORM_EPS))


def initialize(network: nn.Module, last: nn.Module) -> None:
    """Initial weights of the kinds that the library uses: Xavier uniform for linear layers and convolutions with zero
    biases, N(0, 0.02^2) for the label table and the time MLP, truncated N(0, 0.02^2) for the bias tables, zero for
    `last`. The numbers are torch's, not those of the library."""
    for name, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            if name.startswith("t_embedder"):
                nn.init.normal_(module.weight, std=0.02)
            elif module is last:
                nn.init.zeros_(module.weight)
            else:
                nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, TMSA):
            nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02, a=-0.04, b=0.04)
