"""Training, evaluation, analysis and autoencoders."""

from __future__ import annotations

import os
import typing

from . import _run
from ._errors import InvalidError


class Result(dict):
    """A dictionary whose entries are attributes too: ``result.model`` is ``result["model"]``."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _assignments(overrides: typing.Mapping | None) -> list[str] | None:
    """{"train.images": 1000} as ["train.images=1000"]: values as TOML, or text."""
    if overrides is None:
        return None
    if not hasattr(overrides, "items"):
        raise InvalidError(f"`set`: wanted a dictionary such as {{\"train.images\": 1000}}, got {overrides!r}", "set")

    def toml(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(map(toml, value)) + "]"
        if isinstance(value, os.PathLike):
            value = os.fsdecode(value)
        if isinstance(value, str):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        return str(_run.plain(value))

    return [f"{key}={toml(value)}" for key, value in overrides.items()]


def _path(value, name: str):
    """For arguments whose fields of the specification have other names."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise InvalidError(f"`{name}`: wanted a path, got {type(value).__name__}", name)
    return value


def train(config: str | os.PathLike | typing.Mapping, *, data: str | os.PathLike | None = None,
          out: str | os.PathLike | None = None, set: typing.Mapping | None = None, resume: bool = False,
          strict: bool = False, callback: typing.Callable | None = None, device: str = "auto", dtype: str = "auto",
          threads: int = 0, progress=True) -> Result:
    """Trains a model into a run folder: config.toml, log.txt, stats.jsonl, TensorBoard events, grids of samples, model
    files and checkpoints. A resumed training continues bit for bit on the same kind of device.

    Ctrl-C stops it between two steps: a checkpoint is saved, and KeyboardInterrupt is raised.

    Args:
        config: the name of a preset (`diffit.presets()`), a TOML file, or a recipe as a dictionary of its tables
            (``{"model": {...}, "train": {...}}``), for which `out` is needed.
        data: a data set instead of data.path: a folder, zip, npz, IDX, CIFAR, or a folder of latents.
        out: the run folder; default: runs/CONFIG.
        set: overrides of the configuration, in order: ``{"train.images": 100000, "model.window": 4}``.
        resume: continue from the newest complete checkpoint of the run folder.
        strict: refuse data that would only be warned about.
        callback: called between steps with an event: ``event.kind`` is ``"step"`` (images, total_images, loss,
            gradient_norm, lr, seconds, seconds_left, images_per_second, skipped, memory_bytes, and on a GPU mfu), ``"snapshot"``
            (images, models, samples), ``"evaluated"`` (images, metrics) or ``"skipped"`` (images, loss,
            gradient_norm). If it returns False, or raises, the training stops with a checkpoint. It may sample.
        device, dtype, threads, progress: as in `diffit.load` and `Model.sample`; dtype ``"auto"``: bf16 where the
            device computes in it natively.

    Returns:
        folder, model (the newest model file: the EMA weights), images, nothing_left, loss, images_per_second, skipped.

    Raises:
        InvalidError: a wrong configuration, data set or folder.
        CancelledError: the callback returned False; a checkpoint is saved.
        FailedError: the training cannot go on; a checkpoint is saved if there is anything to save.
    """
    if not isinstance(config, (str, bytes, os.PathLike)) and not hasattr(config, "items"):
        raise InvalidError("`config`: wanted the name of a preset, a TOML file or a dictionary, got "
                           f"{type(config).__name__}", "config")
    spec = {"config": dict(config) if hasattr(config, "items") else config, "data": data, "out": out,
            "set": _assignments(set), "resume": resume, "strict": strict, "device": device, "dtype": dtype,
            "threads": threads}
    return Result(_run.run("train", spec, progress=progress, callback=callback)[0])


def evaluate(samples: str | os.PathLike, reference: str | os.PathLike, *, features: str | os.PathLike,
             metrics: str | typing.Sequence[str] | None = None, limit: int | None = None, batch: int | None = None,
             bootstrap: int | None = None, confidence: float | None = None, half: bool = False,
             extrapolate: bool = False, seed: int | None = None, device: str = "auto", dtype: str = "auto",
             threads: int = 0, progress=True) -> Result:
    """Computes metrics of samples against a reference by ADM's protocol (docs/metrics.md).

    Args:
        samples, reference: images (npz with arr_0 uint8 [N, H, W, C], zip, folder) or a file of statistics (npz with
            mu, sigma).
        features: the feature network: a file of Inception-v3, or the name of a bundled network.
        metrics: "fid", "sfid", "is", "precision", "recall", "kid"; default: all that the inputs allow.
        limit: only the first so many samples.
        bootstrap: resamples behind an interval; 0: no intervals. confidence: of the intervals.
        half: precision and recall from float16 distances, like ADM's evaluator.
        extrapolate: also extrapolate the Frechet distance to infinitely many samples.
        seed: of resamples, subsets and noise.

    Returns:
        Each metric under its name, and intervals, standard_errors, confidence, network, samples, reference, details
        and warnings: what ``diffit eval --json`` prints.

    Raises:
        InvalidError: a wrong field or file. FailedError: I/O, memory.
    """
    spec = {"samples": samples, "reference": reference, "features": features,
            "metrics": [metrics] if isinstance(metrics, str) else metrics, "limit": limit, "batch": batch,
            "bootstrap": bootstrap, "confidence": confidence, "half": half, "extrapolate": extrapolate, "seed": seed,
            "device": device, "dtype": dtype, "threads": threads}
    return Result(_run.run("evaluate", spec, progress=progress)[0])


def statistics(data: str | os.PathLike, output: str | os.PathLike, *, features: str | os.PathLike,
               limit: int | None = None, batch: int | None = None, keep: int | None = None, device: str = "auto",
               dtype: str = "auto", threads: int = 0, progress=True) -> Result:
    """Computes the statistics of a set of images in the features of a network: a reference file for `evaluate` and
    for ADM's evaluator.

    Args:
        data: images: npz with arr_0, zip, folder, IDX or CIFAR; at least two.
        output: the .npz file to write: mu [D] and sigma [D, D] (float64), those of spatial features where the network
            has them, and the features of the kept images (float32).
        features: as in `evaluate`.
        limit: only the first so many images. keep: randomly chosen images whose features are stored for precision,
            recall and KID (default 10000).

    Returns:
        images, width, height, channels, network, features, spatial_features, kept_features, warnings.
    """
    return Result(_run.run("statistics", {"data": data, "output": output, "features": features, "limit": limit,
                                          "batch": batch, "keep": keep, "device": device, "dtype": dtype,
                                          "threads": threads}, progress=progress)[0])


def explain(model: str | os.PathLike, *, data: str | os.PathLike | None = None, vae: str | os.PathLike | None = None,
            images: int | None = None, levels: int | None = None, sigma_min: float | None = None,
            sigma_max: float | None = None, out: str | os.PathLike | None = None, device: str = "auto",
            dtype: str = "auto", threads: int = 0, progress=True) -> Result:
    """Shows how attention depends on the noise level: how far the attention, q, k and v of each layer move if only the
    time token is replaced by that of another level, in the model and in an untrained one.

    Args:
        model: a model file, the name of a bundled model, or a `Model`.
        data: a data set whose images are used; default: samples of the model.
        images, levels: how many; at least 2 levels, equally spaced in ln sigma from sigma_min to sigma_max.
        out: x.html (table and plots), x.svg or x.png (the plot of attention).

    Returns:
        What ``diffit explain --time --json`` prints.
    """
    return Result(_run.run("explain", {"model": getattr(model, "path", model), "data": data, "vae": vae,
                                       "images": images, "levels": levels, "sigma_min": sigma_min,
                                       "sigma_max": sigma_max, "out": out, "device": device, "dtype": dtype,
                                       "threads": threads}, progress=progress)[0])


def encode(images: str | os.PathLike, out: str | os.PathLike, *, vae: str | os.PathLike, batch: int | None = None,
           scale: float | None = None, device: str = "auto", dtype: str = "auto", threads: int = 0,
           progress=True) -> Result:
    """Encodes images into one file of latents, posterior means times the scale: ``diffit vae encode``.

    Args:
        images: an image, a folder or zip of images, .npz (arr_0 uint8 [N, H, W, C]) or .safetensors (``images`` float32
            [N, C, H, W] in [-1, 1]); all of one size, with sides that are multiples of the autoencoder's factor.
        out: the .safetensors file to write: ``latents`` float32 [N, L, h, w].
        vae: the autoencoder: a file, a folder of diffusers, or the name of a bundled one.
        scale: of the latents; default: the one that the file states, or 0.18215.

    Returns:
        shape, scale, scale_from, vae_identity, mean, standard_deviation, seconds.
    """
    return Result(_run.run("encode", {"in": _path(images, "images"), "out": out, "vae": vae, "batch": batch, "scale": scale,
                                      "device": device, "dtype": dtype, "threads": threads}, progress=progress)[0])


def decode(latents: str | os.PathLike, out: str | os.PathLike, *, vae: str | os.PathLike, batch: int | None = None,
           scale: float | None = None, rounding: str | None = None, tile: str | int | None = None,
           device: str = "auto", dtype: str = "auto", threads: int = 0, progress=True) -> Result:
    """Decodes latents into images: ``diffit vae decode``.

    Args:
        latents: .safetensors with ``latents`` (or ``samples``) float32 [N, L, h, w], scaled.
        out: x.png (one image, or a grid), x.npz (arr_0 uint8), x.safetensors (``images`` float32, not clamped), or a
            folder.
        vae, batch, scale: as in `encode`. rounding: to bytes, ``"nearest"`` or ``"truncate"``.
        tile: latent rows decoded at a time; 0: all. It saves memory without changing the image.

    Returns:
        shape, scale, scale_from, tile, seconds.
    """
    return Result(_run.run("decode", {"in": _path(latents, "latents"), "out": out, "vae": vae, "batch": batch, "scale": scale,
                                      "rounding": rounding, "tile": None if tile is None else str(tile),
                                      "device": device, "dtype": dtype, "threads": threads}, progress=progress)[0])
