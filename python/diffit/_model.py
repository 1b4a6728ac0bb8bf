"""Models that are open."""

from __future__ import annotations

import ctypes
import json
import os
import typing
import weakref

from . import _apart, _monitor, _run, _tensors
from ._errors import InvalidError
from ._library import library, to_json

Seeds = typing.Union[int, str, typing.Sequence[int], range, None]
Classes = typing.Union[str, int, typing.Sequence[typing.Union[int, str]], None]


def _seeds(seeds: Seeds) -> str | None:
    """The field `seeds`: "0-9,12"."""
    if seeds is None or isinstance(seeds, str):
        return seeds
    if isinstance(seeds, range) and seeds.step == 1 and len(seeds) > 0:
        return f"{seeds.start}-{seeds.stop - 1}"
    try:
        listed = [seeds.__index__()] if hasattr(seeds, "__index__") and not hasattr(seeds, "__len__") else [
            seed.__index__() for seed in seeds]
    except (TypeError, AttributeError):
        raise InvalidError(f"`seeds`: wanted whole numbers, a range or text such as \"0-9\", got {seeds!r}",
                           "seeds") from None
    if not listed:
        raise InvalidError("`seeds`: wanted at least one seed, got none", "seeds")
    return ",".join(map(str, listed))


def _classes(classes: Classes) -> str | None:
    """The field `classes`: "all", "random", or labels and names "0,3,dress"."""
    if classes is None or isinstance(classes, str):
        return classes
    if hasattr(classes, "__index__") and not hasattr(classes, "__len__"):
        return str(classes.__index__())
    try:
        return ",".join(entry if isinstance(entry, str) else str(entry.__index__()) for entry in classes)
    except (TypeError, AttributeError):
        raise InvalidError(f"`classes`: wanted labels or names of classes, got {classes!r}", "classes") from None


class Model:
    """A diffusion model that is open: see `diffit.load`.

    It is closed by `close()`, at the end of a ``with`` block, or when it is no longer referenced.

    Attributes:
        info (dict): what the file states: ``latent``, ``channels``, ``resolution``, ``classes``, ``class_names``,
            ``prediction``, ``schedule``, ``sigma_min``, ``sigma_max``, ``parameters``, ``config``, ``device``,
            ``dtype`` and ``path``.
    """

    def __init__(self, path: str | os.PathLike, *, device: str = "auto", dtype: str = "auto", threads: int = 0):
        self._closer = None
        c = library()
        handle = ctypes.c_void_p()
        self._options = {"device": device, "dtype": dtype, "threads": threads}
        options = to_json(_run.plain(self._options))
        call = _apart.Apart()
        with _monitor.running:
            call(lambda: c.check(c.model_open(os.fsencode(path), options, ctypes.byref(handle))))
        self._handle = handle
        self._closer = weakref.finalize(self, c.model_close, handle)
        if call.kept is not None:
            raise call.kept
        self.info: dict = json.loads(c.model_info(handle))

    # -- what it is
    @property
    def path(self) -> str:
        """The model file."""
        return self.info["path"]

    @property
    def classes(self) -> int:
        """The number of classes; 0: unconditional."""
        return self.info["classes"]

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0"."""
        return self.info["device"]

    @property
    def closed(self) -> bool:
        return self._closer is None or not self._closer.alive

    def close(self) -> None:
        """Frees the weights. Closing it again does nothing; every other call fails then."""
        if self._closer is not None:
            self._closer()

    def __enter__(self) -> "Model":
        self._check_open()
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.closed:
            return f"<diffit.Model {self.info['path']} (closed)>" if hasattr(self, "info") else "<diffit.Model>"
        i = self.info
        kind = "latent" if i["latent"] else "image-space"
        return (f"<diffit.Model {os.path.basename(i['path'])}: {kind}, {i['channels']} x {i['resolution']} x "
                f"{i['resolution']}, {i['classes'] or 'no'} classes, {i['parameters']} parameters, {i['device']}>")

    def __reduce__(self):
        self._check_open()
        return _reopen, (self.info["path"], self._options)

    def _check_open(self) -> None:
        if self.closed:
            raise InvalidError("the model has been closed; open it again with diffit.load()")

    # -- what it does
    def sample(self, count: int | None = None, *, seeds: Seeds = None, classes: Classes = None,
               sampler: str | None = None, steps: int | None = None, guidance: float | None = None,
               output: str = "numpy", out: str | os.PathLike | None = None, progress=True, **fields):
        """Generates images (DiffiT sections 3.2 and 3.3; samplers: EDM alg. 1 and 2, DDPM, DDIM, DPM-Solver++, UniPC).

        Image i is a function of the model, the options, its seed and its class, not of the batch or the number of
        threads.

        Args:
            count: number of images, with the seeds 0 to count - 1. Default: 1, or as many as `seeds`.
            seeds: a seed, a sequence or range of seeds, or text such as ``"0-9,12"``.
            classes: ``"all"`` (in turn; the default), ``"random"`` (by the seed), a label, the name of a class, or a
                sequence of them; image i takes entry i modulo its length.
            sampler: ``"heun"`` or ``"euler"``; latent models also ``"ddpm"``, ``"ddim"``, ``"dpmpp2m"``, ``"unipc"``.
            steps: of the sampler.
            guidance: scale of classifier-free guidance; 1: none.
            output: what is returned: ``"numpy"`` or ``"torch"``: uint8 [N, H, W, C] with C = 1 or 3; ``"raw"``:
                float32 [N, C, H, W] as the sampler leaves it (images in [-1, 1], or latents of a latent model) as an
                array of NumPy; ``"raw-torch"``: the same as a tensor of torch. Tensors of torch are on the CPU.
            out: writes x.png (one image, or a grid), x.npz, x.safetensors or a folder instead; the path is returned.
            progress: a bar of tqdm where it is installed (True), none (False), or a function like tqdm.
            **fields: other fields of the specification: eta, spacing, sigma_min, sigma_max, rho, churn, s_min, s_max,
                s_noise, rounding, guidance_schedule, guidance_channels, guidance_interval, guidance_tolerance,
                autoguidance, vae, preset, batch, columns, init_noise, step_noise, init_image, strength, mask, mix_seed,
                mix, restart; device, dtype and threads are those of the model unless they are given.

        Raises:
            InvalidError: a field is wrong; its `field` is the name of the field.
            FailedError: samples are not finite, memory, I/O.
        """
        self._check_open()
        outputs = {"numpy": (False, False), "torch": (False, True), "raw": (True, False), "raw-torch": (True, True)}
        if output not in outputs:
            raise InvalidError(f"`output`: wanted one of {', '.join(outputs)}, got {output!r}", "output")
        raw, as_torch = outputs[output]
        spec = {**self._options, "model": self.info["path"], "count": count, "seeds": _seeds(seeds),
                "classes": _classes(classes), "sampler": sampler, "steps": steps, "guidance": guidance,
                **{name: value for name, value in fields.items() if value is not None}}
        if out is not None:
            spec["out"] = out
        elif raw:
            spec["raw"] = True
        _, tensors = _run.run("sample", spec, progress=progress, as_torch=as_torch)
        return os.fspath(out) if out is not None else tensors[0]

    def denoise(self, x, sigma, labels=None):
        """Returns D(x; sigma), the estimate of x_0 from x = x_0 + sigma n with unit normal noise n (EDM eq. 7).

        It holds for every model: for those that predict noise on a variance-preserving schedule too, x is not scaled.

        Args:
            x: float32 [B, channels, resolution, resolution], contiguous, finite: images in [-1, 1] plus noise, or
                latents. An array of NumPy or a tensor of torch, on the CPU or a GPU; it is not copied.
            sigma: noise levels above 0: float32 [B], or one number for all rows. A latent model is evaluated at the
                one of its 1000 noise levels that is nearest.
            labels: classes 0 to `classes`; `classes` is the null label, which means no class: int64 [B], or one
                number for all rows. None: the null label.

        Returns:
            A new array or tensor like x, on the same device.

        Raises:
            InvalidError: a dtype, shape, device or value is not as above, or the array is read-only or not
                contiguous; `field` names the argument.
            FailedError: the result is not finite.
        """
        self._check_open()
        c = library()
        as_torch = _tensors.is_torch(x)
        rows = x.shape[0] if getattr(x, "ndim", 0) > 0 else 1
        given = [x, _vector(sigma, rows, "sigma", as_torch), _vector(labels, rows, "labels", as_torch)]
        taken = []
        try:
            for value, name in zip(given, ("x", "sigma", "labels")):
                taken.append(None if value is None else _tensors.take(value, name))
        except BaseException:
            for pointer in taken:
                if pointer is not None:
                    _tensors.delete(pointer)
            raise
        denoised = ctypes.c_void_p()
        call = _apart.Apart()
        with _monitor.running:
            call(lambda: c.check(c.model_denoise(self._handle, *taken, ctypes.byref(denoised))))
        result = _tensors.export(denoised.value, as_torch)
        if call.kept is not None:
            raise call.kept
        return result


def _vector(value, rows: int, name: str, as_torch: bool):
    """A number or a list as an array or tensor [rows]; arrays and tensors as they are."""
    if value is None or hasattr(value, "__dlpack__") and getattr(value, "ndim", 1) > 0:
        return value
    import numpy
    dtype = numpy.float32 if name == "sigma" else numpy.int64
    try:
        array = numpy.asarray(value if not hasattr(value, "item") else value.item())
        fits = numpy.issubdtype(array.dtype, numpy.number) and (
            name == "sigma" or numpy.issubdtype(array.dtype, numpy.integer))
    except (ValueError, TypeError, RuntimeError):
        fits = False
    if not fits or array.ndim > 1:
        what = "a number or [B] numbers" if name == "sigma" else "a label or [B] labels"
        raise InvalidError(f"`{name}`: wanted {what}, got {value!r}", name)
    array = numpy.array(numpy.broadcast_to(array, (rows,)) if array.ndim == 0 else array, dtype=dtype)
    if not as_torch:
        return array
    import torch
    return torch.tensor(array.tolist(), dtype=torch.float32 if name == "sigma" else torch.int64)


def _reopen(path, options):
    return Model(path, **options)


def load(name_or_path: str | os.PathLike, *, device: str = "auto", dtype: str = "auto", threads: int = 0) -> Model:
    """Opens a model file (.safetensors, .pt, .pth, *.index.json), or a bundled model by its name (`diffit.models()`).

    Args:
        device: ``"auto"`` (the first usable GPU, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        dtype: of matrix products and convolutions: ``"auto"`` (float32), ``"f32"``, ``"bf16"``.
        threads: 0: as many as torch uses, at most one for each processor of this process.

    Raises:
        InvalidError: there is no such file or bundled model, or the file holds no diffusion model.
        LibraryError: no usable torch is installed.
    """
    return Model(name_or_path, device=device, dtype=dtype, threads=threads)
