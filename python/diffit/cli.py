"""The command `diffit`: starts the program of this package beside the torch that is installed."""

from __future__ import annotations

import os
import sys

from . import _library
from ._errors import LibraryError


def main(arguments: list[str] | None = None) -> int:
    """Becomes the program; returns only if it cannot be started, or after `diffit export`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["export"]:
        from . import export
        return export.main(arguments[1:])
    try:
        torch = _library.torch_folder()
        program = _library.built_for(torch) / "diffit"
    except LibraryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    environment = dict(os.environ)
    # The program looks for torch beside this package; elsewhere it has to be told.
    if torch.parent != _library.PACKAGE.parent:
        folders = [str(torch / "lib"), *map(str, torch.parent.glob("nvidia/*/lib"))]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join([*folders, *filter(None, [environment.get("LD_LIBRARY_PATH")])])
    try:
        os.execve(program, ["diffit", *arguments], environment)
    except OSError as error:
        print(f"error: {program}: {error.strerror}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
