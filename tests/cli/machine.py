"""The machine as it may be: a file layer that fails (tests/faults/faults.c), terminals, closed descriptors."""

import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pytest
from conftest import BINARY, ROOT


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """The environment that loads the failing file layer; tests add what is to fail."""
    library = tmp_path_factory.mktemp("faults") / "libdiffit_faults.so"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library,
                    ROOT / "tests/faults/faults.c", "-ldl", "-pthread"], check=True)
    return {"LD_PRELOAD": str(library)}


def without_locks(faults, reason=errno.ENOLCK):
    return {**faults, "DIFFIT_FAULT_FLOCK": str(reason)}


def shell(command, cwd=None, env=None, timeout=60):
    """Runs a line of bash, in which $DIFFIT is the program."""
    return subprocess.run(["/bin/bash", "-c", command], cwd=cwd, env={**os.environ, **(env or {}), "DIFFIT": str(BINARY)},
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)


def on_terminal(*args, columns=80, env=None, timeout=60, cwd=None, during=None):
    """(exit code, all that the program wrote on a terminal of that width). `during(process, master)` is called
    whenever something was written."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", **(env or {})}
    environment = {key: value for key, value in environment.items() if value is not None}
    process = subprocess.Popen([BINARY, *map(str, args)], stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment,
                               start_new_session=True)
    os.close(slave)
    written, deadline = b"", time.monotonic() + timeout
    while time.monotonic() < deadline:
        ready, _, _ = select.select([master], [], [], 0.1)
        try:
            piece = os.read(master, 65536) if ready else None
        except OSError:  # the other side is closed
            break
        if piece == b"":
            break
        if piece:
            written += piece
            if during:
                during(process, master)
        elif process.poll() is not None:
            break
    else:
        process.kill()
    os.close(master)
    return process.wait(timeout=10), written.decode(errors="replace")
