"""The networks in numpy (float64), written from the paper's equations and the formats of the files alone: an independent witness
of attention. One image at a time; maps are [H, W, C]."""

import json
import math
import sys

import numpy as np
from conftest import ROOT

sys.path.append(str(ROOT / "tests/cli"))
import formats  # noqa: E402


def silu(x):
    return x / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def group_norm(x, weight, bias):
    groups = min(32, x.shape[-1] // 4)
    parts = x.reshape(-1, groups, x.shape[-1] // groups)
    parts = parts - parts.mean((0, 2), keepdims=True)
    parts = parts / np.sqrt((parts**2).mean((0, 2), keepdims=True) + 1e-5)
    return parts.reshape(x.shape) * weight + bias


def convolve(x, weight, bias, stride=1):
    """weight [out, in, k, k], padding k // 2."""
    k = weight.shape[-1]
    padded = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    h, w = x.shape[:2]
    return sum(padded[dy:dy + h, dx:dx + w][::stride, ::stride] @ weight[:, :, dy, dx].T for dy in range(k) for dx in range(k)) + bias


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def windows_of(x, w):
    """[H, W, C] -> [windows, w * w, C]."""
    rows, columns, channels = x.shape[0] // w, x.shape[1] // w, x.shape[2]
    return x.reshape(rows, w, columns, w, channels).transpose(0, 2, 1, 3, 4).reshape(rows * columns, w * w, channels)


def map_of(parts, h, w):
    rows, columns = h // w, h // w
    return parts.reshape(rows, columns, w, w, -1).transpose(0, 2, 1, 3, 4).reshape(h, h, -1)


class Network:
    """A bundled model. `change`: {"layer", "time", "zero_bias", "heads_off"} of a counterfactual, or None."""

    def __init__(self, path):
        tensors, metadata = formats.read_safetensors(path)
        self.t = {name: np.asarray(tensor, np.float64) for name, tensor in tensors.items() if "index" not in name}
        self.config = json.loads(metadata["diffit.config"])
        self.layers, self.change = {}, None

    def linear(self, x, name):
        return x @ self.t[name + ".weight"].T + self.t.get(name + ".bias", 0)

    def token(self, c_noise, label):
        frequency = np.exp(np.arange(128) * (-math.log(10000) / 128))
        angle = c_noise * frequency
        features = np.concatenate([np.cos(angle), np.sin(angle)])
        return self.linear(silu(self.linear(features, "t_embedder.mlp.0")), "t_embedder.mlp.2") + self.t["y_embedder.embedding_table.weight"][label]

    def attention(self, x, time, name, layer, heads, w):
        """TMSA (DiffiT eq. 3 to 6)."""
        change = self.change if self.change and self.change["layer"] in (layer, None) else {}
        time = change.get("time", time)
        n, d = w * w, x.shape[-1] // heads
        table = self.t[f"{name}.relative_position_bias_table"] * (not change.get("zero_bias"))
        place = [(i // w, i % w) for i in range(n)]
        bias = np.array([[table[(qy - ky + w - 1) * (2 * w - 1) + qx - kx + w - 1] for ky, kx in place] for qy, qx in place]).transpose(2, 0, 1)

        def split(token):
            qkv = windows_of(self.linear(x, f"{name}.qkv") + self.linear(token, f"{name}.qkv_temb"), w)
            return qkv.reshape(-1, n, 3, heads, d).transpose(2, 0, 3, 1, 4)  # [3, windows, heads, n, d]

        def scores(q, k):
            return q @ k.swapaxes(-1, -2) / math.sqrt(d) + bias

        q, k, v = split(time)
        a = softmax(scores(q, k))
        still = split(np.zeros_like(time))
        self.layers[layer] = {"q": q, "k": k, "v": v, "bias": bias, "attention": a, "table": table, "window": w,
                              "scores": scores(q, k), "still": still, "still_scores": scores(*still[:2])}
        mixed = a @ v
        mixed[:, change.get("heads_off", [])] = 0
        side = int(math.sqrt(len(mixed))) * w
        return self.linear(map_of(mixed.transpose(0, 2, 1, 3).reshape(-1, n, heads * d), side, w), f"{name}.proj")

    def block(self, x, time, prefix, layer, heads, w):
        x = x + self.attention(layer_norm(x), time, f"{prefix}attn", layer, heads, w)
        return x + self.linear(gelu(self.linear(layer_norm(x), f"{prefix}mlp.fc1")), f"{prefix}mlp.fc2")


class ImageNetwork(Network):
    """DiffiT in image space, EDM's preconditioning."""

    def stage(self, x, time, side, i):
        c = self.config
        for k in range(c["depth"][i]):
            layer = f"{side}.{i}.blocks.{k}"
            h = silu(group_norm(x, self.t[f"{layer}.norm.weight"], self.t[f"{layer}.norm.bias"]))
            h = convolve(h, self.t[f"{layer}.conv.weight"], self.t[f"{layer}.conv.bias"])
            window = {32: 4, 16: 4, 8: 8}[h.shape[0]]
            x = x + self.block(h, time, f"{layer}.block.", layer, h.shape[-1] // c["head_dim"], window)
        return x

    def denoise(self, x, sigma, label, change=None):
        """x [C, R, R] -> D, and the attention layers in self.layers."""
        self.change = change
        sd = 0.5
        time, t = self.token(math.log(sigma) / 4, label), self.t
        h = convolve(x.transpose(1, 2, 0) / math.sqrt(sigma**2 + sd**2), t["tokenizer.weight"], t["tokenizer.bias"])
        skips = []
        for i in range(3):
            h = self.stage(h, time, "encoder", i)
            if i < 2:
                skips.append(h)
                h = convolve(h, t[f"encoder.{i}.down.weight"], t[f"encoder.{i}.down.bias"], 2)
        for i in (1, 0):
            h = convolve(h.repeat(2, 0).repeat(2, 1), t[f"decoder.{i}.up.weight"], t[f"decoder.{i}.up.bias"])
            h = np.concatenate([h, skips.pop()], -1)
            h = convolve(h, t[f"decoder.{i}.fuse.weight"], t[f"decoder.{i}.fuse.bias"])
            h = self.stage(h, time, "decoder", i)
        h = convolve(group_norm(h, t["head.norm.weight"], t["head.norm.bias"]), t["head.conv.weight"], t["head.conv.bias"])
        scale = sigma**2 + sd**2
        return sd**2 / scale * x + sigma * sd / math.sqrt(scale) * h.transpose(2, 0, 1)


class LatentNetwork(Network):
    """Latent DiffiT, which predicts the noise."""

    beta = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - beta)
    sigmas = np.sqrt((1 - alpha_bar) / alpha_bar)

    def denoise(self, x, sigma, label, change=None):
        self.change = change
        c, step = self.config, int(np.abs(self.sigmas - sigma).argmin())
        time, grid = self.token(step, label), c["input_size"] // c["patch"]
        assert c["patch"] == 1
        h = np.einsum("chw,dc->hwd", x / math.sqrt(1 + self.sigmas[step] ** 2), self.t["x_embedder.proj.weight"][:, :, 0, 0])
        h = h + self.t["x_embedder.proj.bias"] + self.t["pos_embed"].reshape(grid, grid, -1)
        for i in range(c["depth"]):
            h = self.block(h, time, f"blocks.{i}.", f"blocks.{i}", c["heads"], grid)
        out = self.linear(silu(layer_norm(h)), "final_layer.linear").transpose(2, 0, 1)
        return x - self.sigmas[step] * out[:c["in_channels"]]


def load(name):
    kind = {"fashion-mnist": ImageNetwork, "fashion-latent": LatentNetwork}[name]
    return kind(ROOT / f"models/{name}.safetensors")


def measures(layer):
    """What the interface calls measures, by their definitions."""
    a, w = layer["attention"], layer["window"]
    heads = a.shape[1]
    place = np.array([(i // w, i % w) for i in range(w * w)])
    far = np.sqrt(((place[:, None] - place[None]) ** 2).sum(-1))

    def share(whole, still):
        return float(((whole - still) * whole).sum() / (whole**2).sum())

    def centred(scores):
        return scores - scores.mean(-1, keepdims=True)

    apart = np.array([[np.abs(a[:, i] - a[:, j]).sum(-1).mean() / 2 for j in range(heads)] for i in range(heads)])
    return {"entropy": -(a * np.log(a)).sum(-1).mean((0, 2)), "distance": (a * far).sum(-1).mean((0, 2)),
            "agreement": 1 - apart.sum(1) / (heads - 1),
            "time_share": {"q": share(layer["q"], layer["still"][0]), "k": share(layer["k"], layer["still"][1]),
                           "v": share(layer["v"], layer["still"][2]), "scores": share(centred(layer["scores"]), centred(layer["still_scores"]))}}
