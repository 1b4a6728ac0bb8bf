"""Export of a network to ONNX: `diffit export -m MODEL -o model.onnx`, or `diffit.export.onnx(...)`.

The network is that of diffit.torch, so that the file holds what the library computes, in float32. Inputs and outputs
are named as in `diffit denoise`: `x`, `sigma` (image-space) or `t` (latent), `y` (conditional models); `denoised` (image-
space), `forward`. The batch is dynamic, and un-patching is by reshape and permute, which TensorRT has (it refuses
Col2Im).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings

from ._errors import Error, FailedError, InvalidError

OPSET = 18


def onnx(model, path: str | os.PathLike, *, opset: int = OPSET) -> str:
    """Writes a model as ONNX.

    Args:
        model: a module of diffit.torch, a model file (.safetensors), or the name of a bundled model.
        path: the .onnx file; weights above 1.5 GB go to PATH.data beside it.
        opset: of the file, at least 18.

    Returns:
        The path.

    Raises:
        InvalidError: no such model, a variant that diffit.torch does not have, or a wrong path.
        FailedError: the packages onnx and onnxscript are missing, or the exporter fails.
    """
    import torch

    from .torch import ImageDiffiT, LatentDiffiT, load
    path = os.fspath(path)
    if not path.endswith(".onnx"):
        raise InvalidError(f"`out`: wanted a path that ends with .onnx, got {path}", "out")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise InvalidError(f"`out`: {folder}: no such folder", "out")
    if opset < OPSET:
        raise InvalidError(f"`opset`: wanted at least {OPSET}, got {opset}", "opset")
    try:
        import onnx as _onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise FailedError(f"export to ONNX needs the package {error.name}: pip install 'diffit[onnx]'") from None
    network = model if isinstance(model, (ImageDiffiT, LatentDiffiT)) else load(model)
    wrapped, inputs, names, outputs = _graph(torch, network)
    batch = torch.export.Dim("batch", min=1)
    was_training, logger = network.training, logging.getLogger("torch.onnx")
    level = logger.level
    network.eval()
    logger.setLevel(logging.ERROR)  # of operators of packages that are not installed
    try:
        # Two rows, not one: the exporter takes sizes of one as fixed.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(wrapped.eval(), tuple(inputs), dynamo=True, opset_version=opset,
                                        input_names=names, output_names=outputs, verbose=False,
                                        dynamic_shapes=tuple({0: batch} for _ in inputs))
        size = sum(p.numel() * p.element_size() for p in network.parameters())
        temporary = path + ".tmp"
        try:
            if size > 1.5e9:
                program.save(path, external_data=True)
            else:
                program.save(temporary, external_data=False)
                os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    except OSError as error:
        raise FailedError(f"{path}: cannot be written: {error.strerror or error}") from None
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        raise FailedError(f"torch.onnx cannot export the network: {str(error).splitlines()[0]}") from error
    finally:
        logger.setLevel(level)
        network.train(was_training)
    return path


def _graph(torch, network):
    """A module with the outputs of `diffit denoise`, example inputs, and the names of inputs and outputs."""
    from .torch import ImageDiffiT

    class Latent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x, t, y):
            return self.network(x, t, y)

    class Image(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x, sigma, y=None):
            return self.network.evaluate(x, sigma, y)

    c, rows = network.config, 2
    if isinstance(network, ImageDiffiT):
        x = torch.zeros(rows, c["in_channels"], c["resolution"], c["resolution"])
        inputs, names = [x, torch.ones(rows)], ["x", "sigma"]
        if network.classes:
            inputs.append(torch.zeros(rows, dtype=torch.int64))
            names.append("y")
        return Image(), inputs, names, ["forward", "denoised"]
    x = torch.zeros(rows, c["in_channels"], c["input_size"], c["input_size"])
    return Latent(), [x, torch.ones(rows), torch.zeros(rows, dtype=torch.int64)], ["x", "t", "y"], ["forward"]


def main(arguments: list[str] | None = None) -> int:
    """`diffit export` and `python -m diffit.export`. Exit codes as those of `diffit`: 0, 1, 2."""
    parser = argparse.ArgumentParser(
        prog="diffit export", description="Write a model as ONNX.",
        epilog="Inputs x, sigma (image-space) or t (latent) and y; outputs forward, and denoised (image-space), as in "
               "diffit denoise. Needs the packages onnx and onnxscript.")
    parser.add_argument("-m", "--model", required=True, help="a .safetensors file, or the name of a bundled model")
    parser.add_argument("-o", "--out", required=True, help="the .onnx file to write")
    parser.add_argument("--opset", type=int, default=OPSET, help="of the file (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="print only errors to stderr")
    options = parser.parse_args(arguments)
    try:
        onnx(options.model, options.out, opset=options.opset)
    except Error as error:
        print(f"error: {str(error).replace('`out`', '-o').replace('`opset`', '--opset')}", file=sys.stderr)
        return 2 if isinstance(error, InvalidError) else 1
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
