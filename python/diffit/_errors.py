"""The exceptions of the package: every error that it raises on its own is an `Error`."""

from __future__ import annotations


class Error(Exception):
    """An error of diffit: one line that says what was wanted, what was got, where, and what to try.

    Attributes:
        field: the argument or field of a specification that is wrong, such as ``"steps"``; ``""`` if it is none.
    """

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.field = field

    def __reduce__(self):
        return type(self), (str(self), self.field)


class InvalidError(Error, ValueError):
    """The request is wrong: an unknown field, a bad value, a file that is not what was wanted, a closed model."""


class FailedError(Error, RuntimeError):
    """A valid request failed: I/O, memory, values that are not finite, a process that was forked."""


class CancelledError(Error):
    """A callback asked for the work to stop. A training has saved a checkpoint."""


class LibraryError(Error, ImportError):
    """libdiffit cannot be loaded: torch is missing, or its version is not one that this package was built for."""


class DiffitWarning(UserWarning):
    """A condition that a person should act on."""
