"""Progress, warnings, events and cancellation of a call, from the library to Python."""

from __future__ import annotations

import json
import logging
import sys
import threading
import types
import warnings

from . import _apart, _library
from ._errors import CancelledError, DiffitWarning

logger = logging.getLogger("diffit")


def _bar(progress):
    """A function like tqdm.tqdm, or None: no progress is shown."""
    if progress is False or progress is None:
        return None
    if progress is not True:
        return progress
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm


class Reports(_apart.Apart):
    """What a call reports, for one call.

    Exceptions of Python code that runs meanwhile stop the work at the next safe point, and raise_kept() raises them
    after it has ended.
    """

    def __init__(self, progress, callback=None):
        super().__init__()
        self._make_bar = _bar(progress)
        self._callback = callback
        self._bar = None
        self._unit = None
        self.stopped = False
        monitor = _library.Monitor
        # Referred to here as long as the library may call them.
        self._functions = (monitor.PROGRESS(self._hopping(self._progress, self._make_bar is not None)),
                           monitor.MESSAGE(self._hopping(self._message)),
                           monitor.EVENT(self._hopping(self._event, self._make_bar is not None or callback is not None)),
                           monitor.CANCELLED(self._cancelled))
        self.monitor = monitor(None, *self._functions)

    def _hopping(self, function, wanted=True):
        """Runs `function` in the thread that called."""
        return (lambda *arguments: self.in_caller(function, *arguments)) if wanted else (lambda *_: None)

    def _progress(self, _user, done, total, unit):
        unit = unit.decode(errors="replace")
        if unit != self._unit:
            self.close()
            self._unit = unit
            self._bar = self._make_bar(total=total or None, unit=" " + unit, leave=False)
        self._bar.update(done - self._bar.n)

    def _message(self, _user, kind, text):
        text = text.decode(errors="replace")
        if kind == 1:
            warnings.warn(text, DiffitWarning, stacklevel=_depth())
        else:
            logger.info("%s", text)

    def _event(self, _user, kind, text):
        kind, fields = kind.decode(), json.loads(text.decode(errors="replace"))
        if kind == "step" and self._make_bar is not None:
            if self._bar is None:
                self._bar = self._make_bar(total=fields["total_images"], unit=" images", initial=0)
            self._bar.update(fields["images"] - self._bar.n)
            if hasattr(self._bar, "set_postfix"):
                self._bar.set_postfix(loss=fields["loss"], refresh=False)
        if self._callback is not None and self._callback(types.SimpleNamespace(kind=kind, **fields)) is False:
            self.stopped = True

    def _cancelled(self, _user):
        return int(self.kept is not None or self.stopped)

    def close(self):
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def raise_kept(self, error: Exception | None):
        """Raises what Python code raised inside the call, caused by the error of the call itself."""
        if self.kept is None:
            return
        if isinstance(self.kept, KeyboardInterrupt) and isinstance(error, CancelledError):
            raise KeyboardInterrupt(str(error)) from None
        raise self.kept from (error if error is not self.kept else None)


def _depth() -> int:
    """The level of the stack, for warnings.warn, that called into this package."""
    depth, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "diffit":
        depth, frame = depth + 1, frame.f_back
    return depth


# One job at a time: jobs set LibTorch's number of threads and settings, which belong to the process. The lock can be
# taken again by its thread, so that a callback may sample.
running = threading.RLock()
