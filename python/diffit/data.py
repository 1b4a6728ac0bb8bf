"""Data sets (docs/data.md)."""

from __future__ import annotations

import os

from . import _run
from ._jobs import Result

__all__ = ["convert", "encode"]


def convert(data: str | os.PathLike, dest: str | os.PathLike, *, size: int = 0, crop: str = "none",
            labels: str = "auto", skip_broken: bool = False, strict: bool = False, threads: int = 0,
            progress=True) -> Result:
    """Converts a data set to EDM's zip, the layout that training reads best: ``diffit data convert``.

    Args:
        data: a folder or zip of PNG, JPEG and WebP, IDX(.gz), CIFAR.
        dest: the .zip file to write.
        size: side of the images; 0 keeps theirs.
        crop: ``"none"``, ``"center"`` or ``"adm"``.
        labels: ``"auto"`` (dataset.json, else folders that look like classes), ``"folders"``, ``"none"``.
        skip_broken: leave out images that cannot be read, or are not of the size of most.
        strict: refuse data that would only be warned about.

    Returns:
        images, resolution, channels, classes, skipped, warnings.

    Raises:
        InvalidError: a wrong field, or images that cannot be read. FailedError: I/O.
    """
    return Result(_run.run("convert_data", {"data": data, "dest": dest, "size": size, "crop": crop, "labels": labels,
                                            "skip_broken": skip_broken, "strict": strict, "threads": threads},
                           progress=progress)[0])


def encode(data: str | os.PathLike, dest: str | os.PathLike, *, vae: str | os.PathLike, batch: int | None = None,
           size: int | None = None, restart: bool = False, device: str = "auto", dtype: str = "auto",
           threads: int = 0, progress=True) -> Result:
    """Encodes a data set into a folder of latents, on which latent models are trained: ``diffit data encode``. An
    interrupted call is continued by the next one.

    Args:
        data: as in `convert`. dest: the folder to write.
        vae: the autoencoder: a file, a folder of diffusers, or the name of a bundled one.
        batch: images at a time. size: side to which smaller images are padded with zeros; 0: none.
        restart: remove all shards in `dest` first.

    Returns:
        source, images, width, height, channels, classes, shards, vae_identity, scale, mean, standard_deviation.
    """
    return Result(_run.run("encode_data", {"data": data, "dest": dest, "vae": vae, "batch": batch, "size": size,
                                           "restart": restart, "device": device, "dtype": dtype, "threads": threads},
                           progress=progress)[0])
