"""Jobs of the library: a specification as a dictionary in, a dictionary and tensors out."""

from __future__ import annotations

import ctypes
import json
import os

from . import _monitor, _tensors
from ._errors import Error
from ._library import library, to_json


def plain(value):
    """A value as JSON has it: paths as texts, numbers of NumPy as numbers."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, bytes):
        return os.fsdecode(value)
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return value


def run(job: str, spec: dict, *, progress=True, callback=None, as_torch: bool = False) -> tuple[dict, list]:
    """Runs a job; the result and its tensors. Fields that are None have their defaults."""
    c = library()
    text = to_json({name: plain(value) for name, value in spec.items() if value is not None})
    result = ctypes.c_void_p()
    with _monitor.running:
        reports = _monitor.Reports(progress, callback)
        error = None
        try:
            reports(lambda: c.check(c.run(job.encode(), text, ctypes.byref(reports.monitor), ctypes.byref(result))))
        except Error as raised:
            error = raised
        finally:
            reports.close()
        try:
            reports.raise_kept(error)
            if error is not None:
                raise error
            return json.loads(c.result_json(result)), _tensors.result_tensors(c, result, as_torch)
        finally:
            c.result_free(result)
