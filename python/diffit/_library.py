"""libdiffit.so beside the torch that is installed: found, loaded once, and called.

Torch is not imported: its libraries are loaded from its folder, and are the ones that a later ``import torch`` uses.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import pathlib
import re
import sys
import threading

from ._errors import CancelledError, Error, FailedError, InvalidError, LibraryError

PACKAGE = pathlib.Path(__file__).resolve().parent
C_VERSION = 1
_ERRORS = {1: FailedError, 2: InvalidError, 3: CancelledError}


class LastError(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("message", ctypes.c_char_p), ("field", ctypes.c_char_p)]


class Monitor(ctypes.Structure):
    """diffit_monitor. The functions are called from the thread that made the call."""

    PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p)
    MESSAGE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
    EVENT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
    CANCELLED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    _fields_ = [("user", ctypes.c_void_p), ("progress", PROGRESS), ("message", MESSAGE), ("event", EVENT),
                ("cancelled", CANCELLED)]


def torch_folder() -> pathlib.Path:
    """The folder of the installed torch, without importing it. DIFFIT_TORCH names another one."""
    if given := os.environ.get("DIFFIT_TORCH"):
        folder = pathlib.Path(given)
        if not (folder / "lib/libtorch_cpu.so").exists():
            raise LibraryError(f"DIFFIT_TORCH={given}: wanted the folder of an installed torch, which holds "
                               "lib/libtorch_cpu.so")
        return folder
    if (loaded := sys.modules.get("torch")) is not None and getattr(loaded, "__file__", None):
        return pathlib.Path(loaded.__file__).resolve().parent
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin:
        raise LibraryError(f"torch is not installed in this Python ({sys.executable}); install it, for example with "
                           f"`pip install torch=={'.'.join(map(str, max(minors(), default=(2, 11))))}.*`")
    return pathlib.Path(spec.origin).resolve().parent


def torch_version(folder: pathlib.Path) -> str:
    """Such as "2.11.0+cu130", as torch/version.py states it."""
    try:
        found = re.search(r"__version__\s*=\s*['\"]([^'\"]+)", (folder / "version.py").read_text())
    except OSError:
        found = None
    if found is None:
        raise LibraryError(f"{folder}/version.py: the version of torch could not be read; reinstall torch")
    return found[1]


def minors() -> dict[tuple[int, int], pathlib.Path]:
    """The minor versions of torch that this package was built for, and the folder of each one's files."""
    found = {}
    for folder in (PACKAGE / "lib").glob("torch-*.*"):
        if match := re.fullmatch(r"torch-(\d+)\.(\d+)", folder.name):
            found[int(match[1]), int(match[2])] = folder
    return found


def built_for(torch: pathlib.Path) -> pathlib.Path:
    """The folder of the files for that torch. Raises LibraryError if there is none."""
    version = torch_version(torch)
    match = re.match(r"(\d+)\.(\d+)", version)
    found = minors()
    folder = found.get((int(match[1]), int(match[2]))) if match else None
    if folder is None:
        names = ", ".join(f"{a}.{b}" for a, b in sorted(found)) or "none"
        raise LibraryError(f"torch {version} is installed in {torch.parent}; this diffit was built for torch {names}; "
                           "install one of these, or a diffit that was built for yours")
    return folder


def _load_torch(folder: pathlib.Path) -> None:
    """Loads torch's libraries by path, unless torch has been imported and has done so."""
    if "torch" in sys.modules:
        return
    for name in ("libgomp.so.1", "libc10.so", "libtorch_cpu.so"):
        path = folder / "lib" / name
        if path.exists():
            try:
                ctypes.CDLL(str(path))
            except OSError as error:
                raise LibraryError(f"torch's library {path} cannot be loaded: {error}; if `import torch` fails too, "
                                   "reinstall torch") from None


class Library:
    """libdiffit.so with the prototypes of diffit/c.h."""

    def __init__(self, path: str):
        try:
            self.functions = c = ctypes.CDLL(path)  # releases the GIL during calls
        except OSError as error:
            raise LibraryError(f"{path} cannot be loaded: {error}") from None
        self.process = os.getpid()
        text, pointer, status = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int
        for name, result, *arguments in (
                ("c_version", ctypes.c_int), ("version", text), ("libtorch_version", text), ("last_error", LastError),
                ("set_resource_folder", status, text),
                ("run", status, text, text, ctypes.POINTER(Monitor), ctypes.POINTER(pointer)),
                ("result_json", text, pointer), ("result_tensors", ctypes.c_int64, pointer),
                ("result_tensor", status, pointer, ctypes.c_int64, ctypes.POINTER(pointer)),
                ("result_free", None, pointer),
                ("model_open", status, text, text, ctypes.POINTER(pointer)), ("model_info", text, pointer),
                ("model_denoise", status, pointer, pointer, pointer, pointer, ctypes.POINTER(pointer)),
                ("model_close", None, pointer)):
            try:
                function = getattr(c, f"diffit_{name}")
            except AttributeError:
                raise LibraryError(f"{path}: lacks diffit_{name}: it is not the library of this package") from None
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        if self.c_version() != C_VERSION:
            raise LibraryError(f"{path}: its C interface has version {self.c_version()}, wanted {C_VERSION}: it is "
                               "not the library of this package")

    def check_process(self) -> None:
        if os.getpid() != self.process:
            raise FailedError("this process was forked from one that had used diffit, and has none of its threads; "
                              "start it with multiprocessing.get_context(\"spawn\") instead")

    def check(self, status: int) -> None:
        """Raises the error of this thread unless `status` is 0."""
        if status != 0:
            error = self.last_error()
            raise _ERRORS.get(status, Error)((error.message or b"an error without a message").decode(errors="replace"),
                                             (error.field or b"").decode(errors="replace"))


_loading = threading.Lock()
_loaded: Library | None = None


def library() -> Library:
    """The library, loaded by the first call."""
    global _loaded
    if _loaded is None:
        with _loading:
            if _loaded is None:
                _loaded = _open()
    _loaded.check_process()
    return _loaded


def _open() -> Library:
    if path := os.environ.get("DIFFIT_LIBRARY"):  # a build of the sources
        _load_torch(torch_folder())
        return Library(path)
    torch = torch_folder()
    folder = built_for(torch)
    _load_torch(torch)
    return Library(str(folder / "libdiffit.so"))


def to_json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except (TypeError, ValueError) as error:
        raise InvalidError(f"the request cannot be written as JSON: {error}") from None
