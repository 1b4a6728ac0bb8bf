"""DiffiT: train, sample and evaluate diffusion vision transformers with time-dependent self-attention.

    import diffit
    model = diffit.load("fashion-mnist")
    images = model.sample(seeds=range(8), classes=[3])     # uint8 [8, 32, 32, 1]
    d = model.denoise(x, sigma=0.5, labels=3)              # x float32 [B, 1, 32, 32]
    run = diffit.train("smoke", data="images/", out="runs/mine")

`diffit.data` converts and encodes data sets, `diffit.torch` has the networks as torch modules. Errors are
`diffit.Error`, with the name of the wrong field.
"""

from __future__ import annotations

import os as _os

from . import data
from ._errors import CancelledError, DiffitWarning, Error, FailedError, InvalidError, LibraryError
from ._jobs import Result, decode, encode, evaluate, explain, statistics, train
from ._model import Model, load

__all__ = ["CancelledError", "DiffitWarning", "Error", "FailedError", "InvalidError", "LibraryError", "Model",
           "Result", "data", "decode", "encode", "evaluate", "explain", "load", "models", "presets", "statistics",
           "train"]


def resource_folder() -> str:
    """The folder that holds presets/ and models/: DIFFIT_HOME, or that of this package."""
    return _os.environ.get("DIFFIT_HOME") or _os.path.join(_os.path.dirname(_os.path.abspath(__file__)),
                                                           "share", "diffit")


def _names(folder: str, ending: str) -> list[str]:
    try:
        entries = _os.listdir(_os.path.join(resource_folder(), folder))
    except OSError:
        return []
    return sorted(name[: -len(ending)] for name in entries if name.endswith(ending))


def models() -> list[str]:
    """The names of the bundled models, of every kind (`Model`s, autoencoders, feature networks)."""
    return _names("models", ".safetensors")


def presets() -> list[str]:
    """The names of the presets for `train`."""
    return _names("presets", ".toml")


def __getattr__(name: str):
    if name == "__version__":
        from . import _library
        return _library.library().version().decode()
    if name in ("torch", "export"):
        import importlib
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module 'diffit' has no attribute '{name}'")
