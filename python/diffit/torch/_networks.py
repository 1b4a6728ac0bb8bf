"""LatentDiffiT and ImageDiffiT as torch modules (DiffiT sections 3.2 and 3.3)."""

from __future__ import annotations

import json
import os

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import InvalidError
from . import _files
from ._layers import LAYER_NORM_EPS, Block, LabelEmbedder, TimeEmbedder, initialize
from ._preconditioning import denoised

GROUP_NORM_EPS = 1e-5
_LATENT = {"input_size": 32, "patch": 2, "hidden": 1152, "depth": 28, "heads": 16, "mlp_ratio": 4.0, "classes": 1000,
           "in_channels": 4, "prediction": "eps", "learned_variance": True}
_IMAGE = {"resolution": 32, "channels": [128, 256, 256], "depth": [2, 2, 2], "window": 4, "head_dim": 32,
          "mlp_ratio": 4.0, "classes": 0, "in_channels": 3, "augment_labels": 0, "sigma_data": 0.5,
          "precondition": "edm", "prediction": "auto", "dropout": 0}
# Variants of the library that these modules do not have, with the value that they do have.
_FIXED = {"time": "tmsa", "time_embedding": "positional", "encoder": "diffit", "decoder": "diffit",
          "sampling": "convolution", "attention_sides": [16]}


class _Network(nn.Module):
    """What both networks have: a configuration, files, and the denoiser D(x; sigma).

    Attributes:
        config (dict): the fields of "diffit.config" (docs/formats.md).
        metadata (dict): the other metadata of the file that it was read from; `save` writes them again.
    """

    kind = ""
    _defaults: dict = {}

    def __init__(self, config: dict):
        super().__init__()
        config = {name: value for name, value in config.items() if name != "model"}
        for name, value in config.items():
            if name in _FIXED and self.kind == "image":
                if value != _FIXED[name]:
                    raise InvalidError(f"`{name}`: the torch module has only {_FIXED[name]!r}, got {value!r}; "
                                       "use diffit.load() for this model", name)
            elif name not in self._defaults:
                raise InvalidError(f"`{name}`: {type(self).__name__} has no such field; it has "
                                   f"{', '.join(self._defaults)}", name)
        self.config = {**self._defaults, **{n: v for n, v in config.items() if n in self._defaults}}
        self.metadata: dict[str, str] = {}

    @classmethod
    def load(cls, name_or_path: str | os.PathLike) -> "_Network":
        """Reads a model file (.safetensors), or a bundled model by its name. See `diffit.torch.load`."""
        return load(name_or_path, cls)

    def save(self, path: str | os.PathLike) -> None:
        """Writes a model file that diffit.load() and `diffit sample -m` read. Weights must be finite."""
        stated = {name: value for name, value in self.config.items()
                  if name not in ("precondition", "prediction", "dropout", "learned_variance")
                  or value != self._defaults[name]}
        metadata = {**self.metadata, _files.CONFIG_KEY: json.dumps({"model": self.kind, **stated}), "format": "pt"}
        _files.write_safetensors(path, self.state_dict(), metadata)

    @property
    def classes(self) -> int:
        """The number of classes; the label `classes` is the null label. 0: unconditional."""
        return self.config["classes"]

    def _labels(self, x: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None:
            return torch.full((x.shape[0],), self.classes, dtype=torch.int64, device=x.device)
        return labels

    def _sigma(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        return torch.as_tensor(sigma, dtype=x.dtype, device=x.device).expand(x.shape[0])


class LatentDiffiT(_Network):
    """The latent DiffiT (section 3.3), with the parameter names of the released weights.

        network = LatentDiffiT(input_size=32, patch=2, hidden=1152, depth=28, heads=16)

    The keyword arguments are the fields of a latent model in docs/formats.md.
    """

    kind = "latent"
    _defaults = _LATENT

    def __init__(self, **config):
        super().__init__(config)
        c = self.config
        width, self.patch, self.grid = c["hidden"], c["patch"], c["input_size"] // c["patch"]
        self.out_channels = (2 if c["learned_variance"] else 1) * c["in_channels"]
        self.pos_embed = nn.Parameter(_sincos_position(width, self.grid)[None], requires_grad=False)
        self.x_embedder = nn.Module()
        self.x_embedder.proj = nn.Conv2d(c["in_channels"], width, self.patch, self.patch)
        self.t_embedder, self.y_embedder = TimeEmbedder(width), LabelEmbedder(c["classes"], width)
        self.blocks = nn.ModuleList(Block(width, width, c["heads"], self.grid, c["mlp_ratio"])
                                    for _ in range(c["depth"]))
        self.final_layer = nn.Module()
        self.final_layer.linear = nn.Linear(width, self.patch**2 * self.out_channels)
        initialize(self, self.final_layer.linear)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """The network alone.

        Args:
            x: [B, C, S, S], scaled to the variance of the schedule (c_in x).
            t: timesteps 0 to 999: [B].
            y: classes: [B] int64 in 0..classes. None: the null label.

        Returns:
            [B, 2C, S, S]: the prediction, then the position of the variance in its range; without learned_variance
            [B, C, S, S].
        """
        x = self.x_embedder.proj(x).flatten(2).transpose(1, 2) + self.pos_embed
        time = self.t_embedder(t) + self.y_embedder(self._labels(x, y))
        for block in self.blocks:
            x = block(x, time)
        x = self.final_layer.linear(F.silu(F.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPS)))
        g, p = self.grid, self.patch  # by reshape and permute, which every runtime of ONNX has
        x = x.reshape(-1, g, g, p, p, self.out_channels).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(-1, self.out_channels, g * p, g * p)

    def denoise(self, x: Tensor, sigma: Tensor | float, labels: Tensor | None = None) -> Tensor:
        """D(x; sigma), the estimate of x_0 from x = x_0 + sigma n: [B, C, S, S] -> the same.

        sigma: [B] or a number above 0; the network is evaluated at the timestep whose noise level is nearest.
        """
        labels, channels = self._labels(x, labels), self.config["in_channels"]
        return denoised(lambda scaled, t: self(scaled, t, labels)[:, :channels], self.config["prediction"],
                        "vp_linear", 1.0, x, self._sigma(x, sigma))


def _sincos_position(width: int, grid: int) -> Tensor:
    """The fixed position table of the released code: [grid^2, width] float32."""
    quarter = width // 4
    omega = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)

    def encode(position):
        angle = position.reshape(-1, 1).to(torch.float64) * omega
        return torch.cat([angle.sin(), angle.cos()], 1)

    row, column = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    return torch.cat([encode(column), encode(row)], 1).float()


class _WindowedBlock(Block):
    """A block within windows of w x w pixels of a map [B, C, H, W]."""

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        _, c, h, w = x.shape
        n = self.attn.window
        y = x.reshape(-1, c, h // n, n, w // n, n).permute(0, 2, 4, 3, 5, 1).reshape(-1, n * n, c)
        y = super().forward(y, time)
        return y.reshape(-1, h // n, w // n, n, n, c).permute(0, 5, 1, 3, 2, 4).reshape(-1, c, h, w)


class _ResBlock(nn.Module):
    """x = Block(Conv3x3(SiLU(GN(x))), time) + x (DiffiT eq. 9 and 10)."""

    def __init__(self, width: int, time_width: int, heads: int, window: int, mlp_ratio: float, dropout: float):
        super().__init__()
        self.norm = nn.GroupNorm(min(32, width // 4), width, eps=GROUP_NORM_EPS)
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.block = _WindowedBlock(width, time_width, heads, window, mlp_ratio)
        self.dropout = dropout

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = F.silu(self.norm(x))
        if self.dropout > 0:
            y = F.dropout(y, self.dropout, self.training)
        return self.block(self.conv(y), time) + x


class ImageDiffiT(_Network):
    """The image-space DiffiT (section 3.2): a U-shaped network of DiffiT ResBlocks, used with EDM preconditioning.

        network = ImageDiffiT(resolution=32, channels=[128, 256, 256], depth=[2, 2, 2])

    The keyword arguments are the fields of an image-space model in docs/formats.md. Of the variants of
    docs/ablations.md, it has DiffiT's own.
    """

    kind = "image"
    _defaults = _IMAGE

    def __init__(self, **config):
        super().__init__(config)
        c = self.config
        channels, depth, last = c["channels"], c["depth"], len(c["channels"]) - 1
        time_width = 4 * channels[0]
        sides = [c["resolution"] >> i for i in range(last + 1)]

        def stage(i: int, down: int | None = None, up: int | None = None) -> nn.Module:
            made, width = nn.Module(), channels[i]
            window = sides[i] if i == last else min(c["window"], sides[i])
            if up is not None:
                made.up = nn.Conv2d(up, width, 3, padding=1)
                made.fuse = nn.Conv2d(2 * width, width, 1)
            made.blocks = nn.ModuleList(_ResBlock(width, time_width, width // c["head_dim"], window, c["mlp_ratio"],
                                                  c["dropout"]) for _ in range(depth[i]))
            if down is not None:
                made.down = nn.Conv2d(width, down, 3, stride=2, padding=1)
            return made

        self.tokenizer = nn.Conv2d(c["in_channels"], channels[0], 3, padding=1)
        self.t_embedder = TimeEmbedder(time_width)
        if c["classes"]:
            self.y_embedder = LabelEmbedder(c["classes"], time_width)
        if c["augment_labels"]:
            self.augment_embedder = nn.Linear(c["augment_labels"], time_width, bias=False)
        self.encoder = nn.ModuleList(stage(i, down=channels[i + 1] if i < last else None) for i in range(last + 1))
        self.decoder = nn.ModuleList(stage(i, up=channels[i + 1]) for i in range(last))  # of the size of encoder[i]
        self.head = nn.Module()
        self.head.norm = nn.GroupNorm(min(32, channels[0] // 4), channels[0], eps=GROUP_NORM_EPS)
        self.head.conv = nn.Conv2d(channels[0], c["in_channels"], 3, padding=1)
        initialize(self, self.head.conv)
        if c["augment_labels"]:
            nn.init.zeros_(self.augment_embedder.weight)

    def forward(self, x: Tensor, c_noise: Tensor, y: Tensor | None = None,
                augment_labels: Tensor | None = None) -> Tensor:
        """The network alone: F(x, c_noise, y).

        Args:
            x: [B, C, R, R], scaled (c_in x).
            c_noise: [B]; EDM: ln(sigma) / 4.
            y: classes: [B] int64 in 0..classes. None: the null label, where there are classes.
            augment_labels: [B, augment_labels]; None: zeros.

        Returns:
            [B, C, R, R].
        """
        time = self.t_embedder(c_noise)
        if self.classes:
            time = time + self.y_embedder(self._labels(x, y))
        if augment_labels is not None:
            time = time + self.augment_embedder(augment_labels)
        x, skips = self.tokenizer(x), []
        for stage in self.encoder:
            for block in stage.blocks:
                x = block(x, time)
            if hasattr(stage, "down"):
                skips.append(x)
                x = stage.down(x)
        for stage in reversed(self.decoder):
            x = stage.up(F.interpolate(x, scale_factor=2, mode="nearest"))
            x = stage.fuse(torch.cat([x, skips.pop()], 1))
            for block in stage.blocks:
                x = block(x, time)
        return self.head.conv(self.head.norm(x))

    def denoise(self, x: Tensor, sigma: Tensor | float, labels: Tensor | None = None) -> Tensor:
        """D(x; sigma), the estimate of x_0 from x = x_0 + sigma n: [B, C, R, R] -> the same. sigma: [B] or a number
        above 0."""
        return self.evaluate(x, sigma, labels)[1]

    def evaluate(self, x: Tensor, sigma: Tensor | float, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The output of the network at c_in x, and D(x; sigma): twice [B, C, R, R]."""
        schedule, prediction = self.config["precondition"], self.config["prediction"]
        if prediction == "auto":
            prediction = "edm" if schedule == "edm" else "eps"
        outputs = []

        def network(scaled: Tensor, c_noise: Tensor) -> Tensor:
            outputs.append(self(scaled, c_noise, labels))
            return outputs[0]

        d = denoised(network, prediction, schedule, self.config["sigma_data"], x, self._sigma(x, sigma))
        return outputs[0], d


def load(name_or_path: str | os.PathLike, cls: type = _Network) -> LatentDiffiT | ImageDiffiT:
    """Reads a model file (.safetensors with a configuration), or a bundled model by its name, in evaluation mode.

    The weights are float32 whatever the file has, as in `diffit.load`; use ``.to(dtype)`` for another type.

    Raises:
        InvalidError: there is no such file or model, it holds no diffusion model, or a variant that the modules do
            not have; weights are missing, unexpected or misshapen.
    """
    from .. import models, resource_folder
    path = os.fspath(name_or_path)
    if not os.path.exists(path):
        bundled = os.path.join(resource_folder(), "models", path + ".safetensors")
        if not os.path.exists(bundled):
            raise InvalidError(f"model '{path}': no such file, and nothing bundled has that name; available: "
                               f"{', '.join(models()) or 'none'}")
        path = bundled
    tensors, metadata = _files.read_safetensors(path)
    if _files.CONFIG_KEY not in metadata:
        raise InvalidError(f"{path}: has no configuration (metadata key {_files.CONFIG_KEY}); `diffit convert` writes "
                           "one for released weights")
    try:
        config = json.loads(metadata.pop(_files.CONFIG_KEY))
        kinds = {network.kind: network for network in (LatentDiffiT, ImageDiffiT)}
        network_class = kinds[config["model"]]
    except (ValueError, KeyError, TypeError):
        raise InvalidError(f"{path}: wanted an image-space or latent diffusion model") from None
    if not issubclass(network_class, cls):
        raise InvalidError(f"{path}: wanted {cls.__name__}, got {network_class.__name__}")
    network = network_class(**config)
    own = network.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in tensors and not name.endswith("_index")]
    wrong += [f"{name} is unexpected" for name in tensors if name not in own]
    wrong += [f"{name} has the shape {list(tensor.shape)}, wanted {list(own[name].shape)}"
              for name, tensor in tensors.items() if name in own and tensor.shape != own[name].shape]
    wrong += [f"{name} differs from the index of its window" for name, tensor in tensors.items()
              if name.endswith("_index") and name in own and tensor.shape == own[name].shape
              and not torch.equal(tensor, own[name])]
    if wrong:
        raise InvalidError(f"{path}: " + "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if wrong[5:] else ""))
    network.load_state_dict(tensors, strict=False)
    network.metadata = metadata
    return network.eval()
